import type { TokenLogprobs } from "../runtime/log-probabilities.ts";
import { StopStrings } from "../text/stop-strings.ts";
import { TextStream } from "../text/text-stream.ts";
import type { GenerationPlan } from "./generation-plan.ts";
import type { ServedModel } from "./model-slot.ts";

export type FinishReason = "stop" | "length";

/** One generated token of an answer, where log probabilities are asked for. */
export interface AnswerToken extends TokenLogprobs {
  readonly tokenId: number;
  /** Where its text begins in the answer, in UTF-16 units. */
  readonly offset: number;
}

/** A piece of the answer; the last one says why it ended and may be empty. */
export interface AnswerPiece {
  readonly text: string;
  readonly finish: FinishReason | null;
  /** Tokens whose text begins in this piece; none where log probabilities aren't asked for. */
  readonly tokens: readonly AnswerToken[];
}

/** Told of each generated token, stop tokens included. `reusedTokens` comes with an answer's first one only. */
export type OnToken = (reusedTokens: number | undefined) => void;

/**
 * One answer as text, piece by piece. Pieces are whole characters and contain no part of a stop string. `choice` counts
 * the answers to one prompt: each is drawn by a seed of its own.
 */
export async function* answer(
  model: ServedModel,
  plan: GenerationPlan,
  choice: number,
  onToken: OnToken,
  signal: AbortSignal,
): AsyncGenerator<AnswerPiece> {
  const { tokenizer, runtime } = model;
  const stream = new TextStream(tokenizer.decode, plan.promptTokens);
  const stops = new StopStrings(plan.stopStrings);
  const tokens = new PendingTokens();
  const request = {
    tokens: plan.promptTokens,
    maxTokens: plan.maxTokens,
    sampling: { ...plan.sampling, seed: plan.sampling.seed + choice },
    stopTokenIds: tokenizer.stopTokenIds,
    logprobs: plan.logprobs ?? undefined,
    reusePrefix: plan.reusePrefix,
    guide: plan.guide ?? undefined,
  };
  for await (const { tokenId, finish, logprobs, reusedTokens } of runtime.generate(request, signal)) {
    onToken(reusedTokens);
    const isLast = finish !== null;
    if (logprobs !== undefined && finish !== "stop") tokens.add(tokenId, logprobs);
    const decoded = finish === "stop" ? stream.flush() : stream.push(tokenId) + (isLast ? stream.flush() : "");
    tokens.decoded(decoded);
    const { text, stopped } = stops.push(decoded);
    if (stopped) return yield { text, finish: "stop", tokens: tokens.take(text) };
    if (isLast) return yield { text: text + stops.flush(), finish, tokens: tokens.takeAll() };
    if (text !== "") yield { text, finish: null, tokens: tokens.take(text) };
  }
}

/** Tokens that wait for their text to be given out: it is held back while a stop string may be beginning. */
class PendingTokens {
  #tokens: AnswerToken[] = [];
  #decodedLength = 0;
  #givenLength = 0;

  add(tokenId: number, logprobs: TokenLogprobs): void {
    this.#tokens.push({ ...logprobs, tokenId, offset: this.#decodedLength });
  }

  decoded(text: string): void {
    this.#decodedLength += text.length;
  }

  /** Those whose text begins within `given`, which follows what was given out before. */
  take(given: string): AnswerToken[] {
    this.#givenLength += given.length;
    const begun = this.#tokens.filter(({ offset }) => offset < this.#givenLength);
    this.#tokens = this.#tokens.slice(begun.length);
    return begun;
  }

  takeAll(): AnswerToken[] {
    return this.#tokens;
  }
}
