import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import koffi from "koffi";

/**
 * A full collection on demand that also hands freed memory back to the kernel (glibc's malloc_trim), so that resident
 * memory tells what is in use and not what happened before. Does what the platform offers, never throws.
 */
export function createGarbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  const trim = mallocTrim();
  return () => {
    if (typeof collect === "function") collect();
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
