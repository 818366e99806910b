import type { RequestObservation } from "./observation.ts";

/** Times one request by its tokens, which may belong to several answers. `nowMs` is monotonic. */
export class RequestClock {
  readonly #nowMs: () => number;
  readonly #arrivedAtMs: number;
  #firstTokenAtMs = 0;
  #lastTokenAtMs = 0;
  #tokens = 0;
  /** Between tokens of one answer: from an answer's last token to the next one's first is no time per token. */
  #gaps = 0;
  #gapsMs = 0;
  promptTokens = 0;
  /** Those of the prompt that the first answer found computed. */
  reusedTokens = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#arrivedAtMs = nowMs();
  }

  get completionTokens(): number {
    return this.#tokens;
  }

  /** `reusedTokens` of the prompt are told with the first token of each answer. */
  token(reusedTokens: number | undefined): void {
    const nowMs = this.#nowMs();
    if (this.#tokens === 0) {
      this.#firstTokenAtMs = nowMs;
      this.reusedTokens = reusedTokens ?? 0;
    }
    if (reusedTokens === undefined) {
      this.#gaps += 1;
      this.#gapsMs += nowMs - this.#lastTokenAtMs;
    }
    this.#lastTokenAtMs = nowMs;
    this.#tokens += 1;
  }

  elapsedMs(): number {
    return this.#nowMs() - this.#arrivedAtMs;
  }

  observation(outcome: RequestObservation["outcome"]): RequestObservation {
    return {
      outcome,
      promptTokens: this.promptTokens,
      completionTokens: this.#tokens,
      ttftMs: this.#tokens >= 1 ? this.#firstTokenAtMs - this.#arrivedAtMs : null,
      tpotMs: this.#gaps >= 1 ? this.#gapsMs / this.#gaps : null,
    };
  }
}
