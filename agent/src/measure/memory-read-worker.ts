import { Buffer } from "node:buffer";
import { performance } from "node:perf_hooks";
import { parentPort, workerData } from "node:worker_threads";

/** Scans a buffer for a byte that is not in it: `indexOf` is a vectorized memchr, which only loads. */
const { shareBytes }: { shareBytes: number } = workerData;
const buffer = Buffer.alloc(shareBytes, 1);

parentPort?.on("message", ({ passMs }: { passMs: number }) => {
  const startMs = performance.now();
  let bytes = 0;
  let elapsedMs = 0;
  while (elapsedMs < passMs) {
    if (buffer.indexOf(0) !== -1) throw new Error("the buffer changed");
    bytes += shareBytes;
    elapsedMs = performance.now() - startMs;
  }
  parentPort?.postMessage((bytes / elapsedMs) * 1000);
});
parentPort?.postMessage("ready");
