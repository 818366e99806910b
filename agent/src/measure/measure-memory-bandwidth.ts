import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Sample } from "@espalier/shared/contracts/profile";
import { summarize } from "./sample.ts";

export interface MemoryBandwidthOptions {
  readonly threads: number;
  /** Read by all threads together; must exceed the last-level cache to mean memory. */
  readonly bufferBytes: number;
}

const repetitions = 7;
const passMs = 150;

/** Bytes per second that `threads` threads read from memory together: each scans its share of the buffer. */
export async function measureMemoryBandwidth(
  { threads, bufferBytes }: MemoryBandwidthOptions,
  signal: AbortSignal,
): Promise<Sample> {
  const shareBytes = Math.ceil(bufferBytes / threads);
  const url = new URL("./memory-read-worker.ts", import.meta.url);
  const workers = Array.from({ length: threads }, () => new Worker(url, { workerData: { shareBytes } }));
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  for (const worker of workers) worker.once("error", failure.reject);
  const abort = (): void => failure.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const all = <T>(work: (worker: Worker) => Promise<T>): Promise<T[]> =>
    Promise.race([Promise.all(workers.map(work)), failure.promise]);
  try {
    signal.throwIfAborted();
    await all((worker) => once(worker, "message"));
    const rates: number[] = [];
    // The first pass warms up.
    for (let repetition = 0; repetition <= repetitions; repetition++) {
      const parts = await all(async (worker): Promise<number> => {
        worker.postMessage({ passMs });
        const [bytesPerSecond] = await once(worker, "message");
        return Number(bytesPerSecond);
      });
      if (repetition > 0) rates.push(parts.reduce((sum, rate) => sum + rate, 0));
    }
    return summarize(rates);
  } finally {
    signal.removeEventListener("abort", abort);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
