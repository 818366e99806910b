import koffi from "koffi";

/**
 * Gives freed memory back to the system where the C library is glibc, which else keeps what a closed model's weights
 * took (150 MB of a 150 MB model): a device swaps models under one memory limit. Elsewhere it does nothing.
 */
export function trimMemory(): void {
  if (process.platform !== "linux") return;
  try {
    koffi.load("libc.so.6").func("malloc_trim", "int", ["size_t"])(0);
  } catch {
    // musl has no malloc_trim and returns memory by itself.
  }
}
