import { type TokenGuide, TokenGuides } from "../grammar/token-guide.ts";
import type { Engine } from "./engine.ts";
import { KvPool, type Sequence } from "./kv-pool.ts";
import type { Span } from "./kv-space.ts";
import { tokenLogprobs } from "./log-probabilities.ts";
import { argmax } from "./ranking.ts";
import type { GeneratedToken, GenerateRequest } from "./runtime.ts";
import { Sampler } from "./sampler.ts";

/** Tokens per run at prefill: long enough for the kernels, short enough that others get a turn soon. */
const prefillPieceTokens = 128;
/** Positions per run whose logits are all wanted: 16 rows of a vocabulary of 49,152 are 3 MB. */
const scoredPieceTokens = 16;

/** Thrown between two runs when the caller cancelled. */
export class Cancelled extends Error {
  override readonly name = "Cancelled";
}

/** Asked between runs; true ends the call. */
export type IsCancelled = () => boolean;

/** A call in steps of at most one run, so that several can take turns. */
export type Steps<Result> = AsyncGenerator<GeneratedToken | null, Result>;

/**
 * Prefill, decode and scoring over an engine. Calls may be stepped in any order: each has a span of the cache of its own.
 * One step at a time. Token ids and lengths have been checked by the caller.
 */
export class Decoder {
  readonly #engine: Engine;
  readonly #pool: KvPool;
  readonly #guides = new TokenGuides();

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#pool = new KvPool(engine);
  }

  async *generate(request: GenerateRequest, isCancelled: IsCancelled): Steps<null> {
    const sampler = new Sampler(request.sampling, request.tokens);
    const stops = new Set(request.stopTokenIds);
    const guide = request.guide === undefined ? null : this.#guides.begin(request.guide, request.stopTokenIds);
    // The last token of the answer is never run.
    const mostPositions = request.tokens.length + request.maxTokens - 1;
    const sequence = this.#pool.enter({ tokens: [...request.tokens], mostPositions, steady: !request.reusePrefix });
    try {
      for (let left = request.maxTokens; ; left -= 1) {
        const logits = yield* this.#advance(sequence, isCancelled);
        const token = chooseToken({ sampler, guide, logits, topCount: request.logprobs });
        const finish = stops.has(token.tokenId) ? "stop" : left === 1 ? "length" : null;
        yield { ...token, finish, ...(left === request.maxTokens ? { reusedTokens: sequence.reused } : {}) };
        if (finish !== null) return null;
        sequence.tokens.push(token.tokenId);
      }
    } finally {
      this.#pool.leave(sequence, true);
    }
  }

  async *logitsAt(
    tokens: readonly number[],
    indices: readonly number[],
    isCancelled: IsCancelled,
  ): Steps<Float32Array> {
    const sequence = this.#pool.enter({ tokens: [...tokens], mostPositions: tokens.length, steady: true });
    try {
      const logits = yield* this.#advance(sequence, isCancelled);
      return Float32Array.from(indices, (index) => logits[index] ?? Number.NaN);
    } finally {
      this.#pool.leave(sequence, false);
    }
  }

  async *topTokens(tokens: readonly number[], isCancelled: IsCancelled): Steps<Int32Array> {
    const top = new Int32Array(tokens.length);
    const sequence = this.#pool.enter({ tokens: [...tokens], mostPositions: tokens.length, steady: true });
    try {
      while (sequence.held < tokens.length) {
        const span = yield* this.#room(sequence, isCancelled);
        const start = sequence.held;
        const piece = tokens.slice(start, start + scoredPieceTokens);
        const logits = await this.#engine.run(span, piece, start, [...piece.keys()]);
        sequence.held += piece.length;
        for (const row of piece.keys()) {
          top[start + row] = argmax(logits, row * this.#engine.vocabularySize, this.#engine.vocabularySize);
        }
        yield null;
      }
      return top;
    } finally {
      this.#pool.leave(sequence, false);
    }
  }

  /** Runs what of the sequence's tokens isn't in the cache yet, a piece a step; logits of the last one [vocabulary]. */
  async *#advance(sequence: Sequence, isCancelled: IsCancelled): Steps<Float32Array> {
    for (;;) {
      const span = yield* this.#room(sequence, isCancelled);
      const piece = sequence.tokens.slice(sequence.held, sequence.held + prefillPieceTokens);
      const logits = await this.#engine.run(span, piece, sequence.held, [piece.length - 1]);
      sequence.held += piece.length;
      if (sequence.held === sequence.tokens.length) return logits;
      yield null;
    }
  }

  /** Passes its turns until there is room in the cache for all of the sequence's tokens. */
  async *#room(sequence: Sequence, isCancelled: IsCancelled): Steps<Span> {
    for (;;) {
      if (isCancelled()) throw new Cancelled();
      const span = this.#pool.makeRoom(sequence);
      if (span !== null) return span;
      yield null;
    }
  }
}

interface Choice {
  readonly sampler: Sampler;
  readonly guide: TokenGuide | null;
  readonly logits: Float32Array;
  readonly topCount: number | undefined;
}

/** Guide and sampler overwrite the logits, so the model's own distribution is read off a copy. */
function chooseToken({ sampler, guide, logits, topCount }: Choice): Omit<GeneratedToken, "finish"> {
  const own = topCount === undefined ? null : logits.slice();
  guide?.mask(logits);
  const tokenId = sampler.next(logits);
  guide?.accept(tokenId);
  return own === null || topCount === undefined
    ? { tokenId }
    : { tokenId, logprobs: tokenLogprobs(own, tokenId, topCount) };
}
