export interface WatchdogOptions {
  /** [1], shared with the thread that is watched: another value each time that it gets on. */
  readonly progress: Int32Array;
  readonly patienceMs: number;
  readonly onSilence: () => void;
}

/** Tells when a thread doesn't get on for some time while something is expected of it. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  #expected = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Something more is expected. Each `expect` is followed by one `done`. */
  expect(): void {
    this.#expected += 1;
    if (this.#expected > 1) return;
    const { progress, patienceMs, onSilence } = this.#options;
    let last = Atomics.load(progress, 0);
    this.#timer = setInterval(() => {
      const now = Atomics.load(progress, 0);
      if (now === last) onSilence();
      last = now;
    }, patienceMs);
  }

  done(): void {
    this.#expected -= 1;
    if (this.#expected === 0) clearInterval(this.#timer);
  }
}
