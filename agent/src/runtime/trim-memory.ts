import { readFileSync, realpathSync } from "node:fs";
import koffi from "koffi";
import { openOnce } from "./open-once.ts";

/** Throws where the C library isn't glibc. */
const glibc = openOnce(() => {
  const library = koffi.load("libc.so.6");
  return {
    trim: library.func("malloc_trim", "int", ["size_t"]),
    advise: library.func("madvise", "int", ["void *", "size_t", "int"]),
  };
});

/**
 * Gives freed memory back to the system where the C library is glibc, which else keeps what a closed model's weights
 * took (150 MB of a 150 MB model): a device swaps models under one memory limit. Elsewhere it does nothing.
 */
export function trimMemory(): void {
  if (process.platform !== "linux") return;
  try {
    glibc().trim(0);
  } catch {
    // musl has no malloc_trim and returns memory by itself.
  }
}

/** MADV_DONTNEED of Linux: for a mapped file, its pages are read again when they are touched. */
const dontNeed = 4;

/**
 * Takes files below `folder` that this process has mapped and not written to out of its resident memory. They stay in the
 * system's cache of files as long as it has room. Linux with glibc only; elsewhere it does nothing.
 */
export function dropMapped(folder: string): void {
  if (process.platform !== "linux") return;
  // Mappings are listed by their files' real paths.
  const real = realpathSync(folder);
  const mappings = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const ours = mappings.flatMap((mapping) => {
    const [, start = "", end = "", path = ""] =
      /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ +(\/.*)$/m.exec(mapping) ?? [];
    // A page that was written to is this process's own and would be lost.
    const clean = /^Anonymous: +0 kB$/m.test(mapping);
    return clean && path.startsWith(`${real}/`) ? [{ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) }] : [];
  });
  if (ours.length === 0) return;
  try {
    const { advise } = glibc();
    for (const { start, end } of ours) advise(start, Number(end - start), dontNeed);
  } catch {
    // musl: the pages stay until the system wants them.
  }
}
