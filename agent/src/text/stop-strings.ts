export interface StopScan {
  /** Text that can't be part of a stop string any more. */
  readonly text: string;
  readonly stopped: boolean;
}

/**
 * Finds stop strings in text that arrives in pieces. What may be the beginning of one is held back, so that no part
 * of a stop string is ever given out. The earliest match wins.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop.length > 0);
  }

  push(piece: string): StopScan {
    this.#held += piece;
    const matches = this.#stops.map((stop) => this.#held.indexOf(stop)).filter((index) => index >= 0);
    if (matches.length > 0) return { text: this.#take(Math.min(...matches)), stopped: true };
    return { text: this.#take(this.#held.length - this.#possibleStart()), stopped: false };
  }

  /** What is held at the end of generation: it was no stop string after all. */
  flush(): string {
    return this.#take(this.#held.length);
  }

  #take(length: number): string {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    return text;
  }

  /** Length of the longest end of the held text that a stop string begins with. */
  #possibleStart(): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, this.#held.length); length > longest; length -= 1) {
        if (this.#held.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
