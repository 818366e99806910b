import type { AnswerToken } from "./answer.ts";

/** Text of a token by its id. */
export type TokenText = (tokenId: number) => string;

/** `logprobs` of a chat's choice (OpenAI API reference). `bytes` is null for a token that holds part of a character. */
export function chatLogprobs(tokens: readonly AnswerToken[], tokenText: TokenText): object {
  const entry = (tokenId: number, logprob: number) => {
    const token = tokenText(tokenId);
    return { token, logprob, bytes: token.includes("\uFFFD") ? null : [...Buffer.from(token)] };
  };
  return {
    content: tokens.map(({ tokenId, logprob, top }) => ({
      ...entry(tokenId, logprob),
      top_logprobs: top.map((one) => entry(one.tokenId, one.logprob)),
    })),
    refusal: null,
  };
}

/** `logprobs` of a completion's choice; offsets count from the answer's beginning. */
export function completionLogprobs(tokens: readonly AnswerToken[], tokenText: TokenText): object {
  return {
    tokens: tokens.map(({ tokenId }) => tokenText(tokenId)),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top }) =>
      Object.fromEntries(top.map(({ tokenId, logprob }) => [tokenText(tokenId), logprob])),
    ),
    text_offset: tokens.map(({ offset }) => offset),
  };
}
