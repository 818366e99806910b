import { Worker } from "node:worker_threads";

export interface RuntimeWorkersOptions {
  /** Emptied threads that are kept; 0: each ends with its model. */
  readonly mostIdle: number;
  /** Default: a thread of worker.ts. */
  readonly start?: () => Worker;
}

/**
 * The threads that models are loaded in. A thread's environment leaves memory behind in the process when it ends (the
 * foreign-function library keeps mappings of each), so a device that swaps variants all its life uses the same threads
 * again: one serves while the next variant proves itself in the other, which then has been emptied by the one before.
 *
 * INVARIANT: a thread has one owner, or is idle here, or has been ended. One that failed in any way is never used again.
 */
export class RuntimeWorkers {
  readonly #mostIdle: number;
  readonly #start: () => Worker;
  readonly #idle = new Set<Worker>();
  #closed = false;

  constructor({ mostIdle, start = startWorker }: RuntimeWorkersOptions) {
    this.#mostIdle = mostIdle;
    this.#start = start;
  }

  take(): Worker {
    const [idle] = this.#idle;
    if (idle === undefined) return this.#begin();
    this.#idle.delete(idle);
    idle.ref();
    return idle;
  }

  /** Takes back a thread whose model is gone. */
  async giveBack(worker: Worker): Promise<void> {
    if (this.#closed || this.#idle.size >= this.#mostIdle) {
      await worker.terminate();
      return;
    }
    worker.unref();
    this.#idle.add(worker);
  }

  /** Gives up a thread that failed, died or doesn't answer. What hangs in C ends when it returns, so nothing waits for it. */
  discard(worker: Worker): void {
    worker.unref();
    void worker.terminate();
  }

  /** Ends the idle threads; those in use end when they are given back. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#idle].map((worker) => worker.terminate()));
  }

  #begin(): Worker {
    const worker = this.#start();
    worker.on("exit", () => this.#idle.delete(worker));
    // Whoever uses the thread listens too; without a listener an idle thread's end would be the process's.
    worker.on("error", () => {});
    return worker;
  }
}

/** The thread's own heap is small: logits, cache and weights lie outside of it. */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 };

function startWorker(): Worker {
  return new Worker(new URL("./worker.ts", import.meta.url), { resourceLimits });
}
