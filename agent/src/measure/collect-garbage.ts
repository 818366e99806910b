import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import koffi from "koffi";

const sweepMs = 50;

/**
 * A full collection on demand that also hands freed memory back to the kernel (glibc's malloc_trim), so that resident
 * memory tells what is in use and not what happened before. Does what the platform offers, never throws.
 */
export function createGarbageCollector(): () => Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  const trim = mallocTrim();
  return async () => {
    // Buffers are freed by a thread of its own after the collection that found them dead.
    for (let round = 0; round < 2; round++) {
      if (typeof collect === "function") collect();
      await setTimeout(sweepMs);
    }
    trim();
  };
}

function mallocTrim(): () => void {
  try {
    const trim = koffi.load("libc.so.6").func("int malloc_trim(size_t)");
    return () => void trim(0);
  } catch {
    return () => undefined;
  }
}
