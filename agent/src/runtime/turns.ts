/** One call's work, a run of the graph at a time. Resolves to false when it is done. Never rejects. */
export type TakeTurn = () => Promise<boolean>;

/**
 * Lets calls take turns, one after another and round again: a long prompt delays the others by one of its pieces, not by
 * all of them.
 */
export class Turns {
  readonly #ring: TakeTurn[] = [];
  #running: Promise<void> | null = null;

  add(takeTurn: TakeTurn): void {
    this.#ring.push(takeTurn);
    this.#running ??= this.#run();
  }

  /** Resolves when no call is left. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let takeTurn = this.#ring.shift(); takeTurn !== undefined; takeTurn = this.#ring.shift()) {
      if (await takeTurn()) this.#ring.push(takeTurn);
      // Messages with new calls come in between turns only.
      await new Promise(setImmediate);
    }
    this.#running = null;
  }
}
