import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { trimMemory } from "../runtime/trim-memory.ts";

const sweepMs = 50;

/**
 * A full collection on demand that also hands freed memory back to the kernel (glibc's malloc_trim), so that resident
 * memory tells what is in use and not what happened before. Does what the platform offers, never throws.
 */
export function createGarbageCollector(): () => Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  return async () => {
    // Buffers are freed by a thread of its own after the collection that found them dead.
    for (let round = 0; round < 2; round++) {
      // The flavour that also gives back the pages that V8 would keep for what may come: some 40 MB here.
      if (typeof collect === "function") collect({ type: "major", execution: "sync", flavor: "last-resort" });
      await setTimeout(sweepMs);
    }
    trimMemory();
  };
}
