import type { RequestObservation } from "./observation.ts";

/** Times one request by its tokens. `nowMs` is monotonic. */
export class RequestClock {
  readonly #nowMs: () => number;
  readonly #arrivedAtMs: number;
  #firstTokenAtMs = 0;
  #lastTokenAtMs = 0;
  #tokens = 0;
  promptTokens = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#arrivedAtMs = nowMs();
  }

  get completionTokens(): number {
    return this.#tokens;
  }

  token(): void {
    this.#lastTokenAtMs = this.#nowMs();
    if (this.#tokens === 0) this.#firstTokenAtMs = this.#lastTokenAtMs;
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
      tpotMs: this.#tokens >= 2 ? (this.#lastTokenAtMs - this.#firstTokenAtMs) / (this.#tokens - 1) : null,
    };
  }
}
