/**
 * Starts the process over, as the same process, with one heap for all threads. glibc gives each thread its own, and those
 * of a replaced model's threads keep what others can't use: some 20 MB, and more with each swap of variants. It reads this
 * variable when the process starts; one that is set already stays.
 */
export function useOneHeap(): void {
  if (process.platform !== "linux" || process.env["MALLOC_ARENA_MAX"] !== undefined) return;
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.(process.execPath, args, { ...process.env, MALLOC_ARENA_MAX: "1" });
}
