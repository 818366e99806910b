import type { AnswerPiece, AnswerToken, FinishReason } from "./answer.ts";
import { chatLogprobs, completionLogprobs, type TokenText } from "./logprobs-format.ts";

/** What every body about one request carries. */
export interface AnswerHeader {
  readonly id: string;
  readonly createdSeconds: number;
  readonly modelName: string;
  /** Tells which variant answered: the artifact's digest. */
  readonly fingerprint: string;
  /** Null where log probabilities aren't asked for. */
  readonly tokenText: TokenText | null;
}

export interface Usage {
  readonly promptTokens: number;
  /** Those of the prompt that were not computed anew. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

/** One whole answer. */
export interface Choice {
  readonly text: string;
  readonly finish: FinishReason;
  readonly tokens: readonly AnswerToken[];
}

/** How one endpoint words answers (OpenAI API reference, "chat" and "completions"). */
export interface ResponseFormat {
  readonly idPrefix: string;
  whole(header: AnswerHeader, choices: readonly Choice[], usage: Usage): object;
  /** A streamed piece of the answer number `index`. `isFirst` opens that answer's message. */
  piece(header: AnswerHeader, index: number, piece: AnswerPiece, isFirst: boolean): object;
  /** The extra last chunk of `stream_options.include_usage`. */
  usage(header: AnswerHeader, usage: Usage): object;
}

export const chatFormat: ResponseFormat = {
  idPrefix: "chatcmpl-",
  whole: (header, choices, usage) => ({
    ...envelope(header, "chat.completion"),
    choices: choices.map(({ text, finish, tokens }, index) => ({
      index,
      message: { role: "assistant", content: text, refusal: null },
      logprobs: header.tokenText && chatLogprobs(tokens, header.tokenText),
      finish_reason: finish,
    })),
    usage: usageBody(usage),
  }),
  piece: (header, index, { text, finish, tokens }, isFirst) => ({
    ...envelope(header, "chat.completion.chunk"),
    choices: [
      {
        index,
        delta: { ...(isFirst ? { role: "assistant" } : {}), ...(isFirst || text !== "" ? { content: text } : {}) },
        logprobs: header.tokenText && chatLogprobs(tokens, header.tokenText),
        finish_reason: finish,
      },
    ],
  }),
  usage: (header, usage) => ({
    ...envelope(header, "chat.completion.chunk"),
    choices: [],
    usage: usageBody(usage),
  }),
};

export const completionFormat: ResponseFormat = {
  idPrefix: "cmpl-",
  whole: (header, choices, usage) => ({
    ...envelope(header, "text_completion"),
    choices: choices.map((choice, index) => completionChoice(header, index, choice)),
    usage: usageBody(usage),
  }),
  piece: (header, index, piece) => ({
    ...envelope(header, "text_completion"),
    choices: [completionChoice(header, index, piece)],
  }),
  usage: (header, usage) => ({ ...envelope(header, "text_completion"), choices: [], usage: usageBody(usage) }),
};

function completionChoice({ tokenText }: AnswerHeader, index: number, { text, finish, tokens }: AnswerPiece): object {
  return { index, text, logprobs: tokenText && completionLogprobs(tokens, tokenText), finish_reason: finish };
}

function envelope(header: AnswerHeader, object: string): object {
  return {
    id: header.id,
    object,
    created: header.createdSeconds,
    model: header.modelName,
    system_fingerprint: header.fingerprint,
  };
}

function usageBody({ promptTokens, cachedTokens, completionTokens }: Usage): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}
