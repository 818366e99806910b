import type { Engine } from "./engine.ts";
import { tokenLogprobs } from "./log-probabilities.ts";
import { argmax } from "./ranking.ts";
import type { GeneratedToken, GenerateRequest, TimeStepsRequest } from "./runtime.ts";
import { Sampler } from "./sampler.ts";

/** Tokens per run at prefill: long enough for the kernels, short enough that cancelling takes effect soon. */
const prefillPieceTokens = 128;
/** Positions per run whose logits are all wanted: 16 rows of a vocabulary of 49,152 are 3 MB. */
const scoredPieceTokens = 16;

/** Thrown between two runs when the caller cancelled. */
export class Cancelled extends Error {
  override readonly name = "Cancelled";
}

/** Asked between runs; true ends the call. */
export type IsCancelled = () => boolean;

/**
 * Prefill, decode and scoring over an engine. Each method starts with an empty cache, so calls don't depend on each
 * other; at most one runs at a time. Token ids and lengths have been checked by the caller.
 */
export class Decoder {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async *generate(request: GenerateRequest, isCancelled: IsCancelled): AsyncGenerator<GeneratedToken> {
    const sampler = new Sampler(request.sampling, request.tokens);
    const stops = new Set(request.stopTokenIds);
    let logits = await this.#extend(request.tokens, 0, isCancelled);
    for (let generated = 1; ; generated += 1) {
      const token = chooseToken(sampler, logits, request.logprobs);
      const { tokenId } = token;
      if (stops.has(tokenId)) return yield { ...token, finish: "stop" };
      if (generated === request.maxTokens) return yield { ...token, finish: "length" };
      yield { ...token, finish: null };
      logits = await this.#extend([tokenId], request.tokens.length + generated - 1, isCancelled);
    }
  }

  async logitsAt(tokens: readonly number[], indices: readonly number[], isCancelled: IsCancelled) {
    const logits = await this.#extend(tokens, 0, isCancelled);
    return Float32Array.from(indices, (index) => logits[index] ?? Number.NaN);
  }

  async topTokens(tokens: readonly number[], isCancelled: IsCancelled): Promise<Int32Array> {
    const top = new Int32Array(tokens.length);
    for (let start = 0; start < tokens.length; start += scoredPieceTokens) {
      if (isCancelled()) throw new Cancelled();
      const piece = tokens.slice(start, start + scoredPieceTokens);
      const logits = await this.#engine.run(piece, start, [...piece.keys()]);
      for (const row of piece.keys()) {
        top[start + row] = argmax(logits, row * this.#engine.vocabularySize, this.#engine.vocabularySize);
      }
    }
    return top;
  }

  async timeSteps(request: TimeStepsRequest, isCancelled: IsCancelled): Promise<number[]> {
    const { contextTokens, newTokens, repetitions } = request;
    // Which tokens is all one to the kernels; distinct ones keep embedding rows from staying in the processor's cache.
    const token = (_: unknown, i: number) => (i * 7919) % this.#engine.vocabularySize;
    const added = Array.from({ length: newTokens }, token);
    // Real keys and values: untouched memory would be served from one shared page of zeros.
    if (contextTokens > 0) await this.#extend(Array.from({ length: contextTokens }, token), 0, isCancelled);
    const timesMs: number[] = [];
    for (let repetition = -1; repetition < repetitions; repetition += 1) {
      const startMs = performance.now();
      await this.#extend(added, contextTokens, isCancelled);
      if (repetition >= 0) timesMs.push(performance.now() - startMs);
    }
    return timesMs;
  }

  /** Adds `tokens` to the cache after `pastTokens` positions; logits of the last one [vocabulary]. */
  async #extend(tokens: readonly number[], pastTokens: number, isCancelled: IsCancelled): Promise<Float32Array> {
    for (let start = 0; ; start += prefillPieceTokens) {
      if (isCancelled()) throw new Cancelled();
      const piece = tokens.slice(start, start + prefillPieceTokens);
      const logits = await this.#engine.run(piece, pastTokens + start, [piece.length - 1]);
      if (start + prefillPieceTokens >= tokens.length) return logits;
    }
  }
}

/** The sampler overwrites the logits, so the model's own distribution is read off a copy. */
function chooseToken(
  sampler: Sampler,
  logits: Float32Array,
  topCount: number | undefined,
): Omit<GeneratedToken, "finish"> {
  if (topCount === undefined) return { tokenId: sampler.next(logits) };
  const own = logits.slice();
  const tokenId = sampler.next(logits);
  return { tokenId, logprobs: tokenLogprobs(own, tokenId, topCount) };
}
