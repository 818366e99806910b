import { ApiError } from "./api-error.ts";

/** Weight of the latest request in the running mean of durations. */
const smoothing = 0.3;

/**
 * Bounds the requests that run or wait: requests take turns at the one model, and a queue without end only adds waiting.
 * INVARIANT: between 0 and `limit` requests are inside.
 */
export class Admission {
  readonly #limit: number;
  #inside = 0;
  #meanDurationMs = 1000;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Throws a 429 that says when to come back. The result leaves again; it takes how long the request took. */
  enter(): (durationMs: number) => void {
    if (this.#inside >= this.#limit) {
      const waitSeconds = Math.max(1, Math.ceil((this.#inside * this.#meanDurationMs) / 1000));
      throw new ApiError(
        429,
        "too_many_requests",
        `${this.#inside} requests are running or waiting, the most this device takes. Try again in ${waitSeconds} s.`,
        { headers: { "retry-after": String(waitSeconds) } },
      );
    }
    this.#inside += 1;
    return (durationMs) => {
      this.#inside -= 1;
      this.#meanDurationMs += smoothing * (durationMs - this.#meanDurationMs);
    };
  }
}
