import { readFileSync, writeFileSync } from "node:fs";

/** Resident memory of this process, in bytes. */
export interface ProcessMemory {
  residentBytes(): number;
  /** Highest since the process started. */
  peakBytes(): number;
  /** Starts a window whose highest value `windowPeakBytes` tells. */
  openWindow(): void;
  /** Highest since `openWindow`; where the kernel can't reset its mark, the highest value seen when asked. */
  windowPeakBytes(): number;
}

/** Reads VmRSS and VmHWM of /proc/self/status; a window begins by resetting the mark (proc(5), clear_refs 5). */
export function createProcessMemory(): ProcessMemory {
  let earlierPeak = 0;
  let windowFloor: number | null = null;
  const read = (field: "VmRSS" | "VmHWM"): number => {
    const match = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync("/proc/self/status", "utf8"));
    return Number(match?.[1] ?? 0) * 1024;
  };
  return {
    residentBytes: () => read("VmRSS"),
    peakBytes: () => Math.max(earlierPeak, read("VmHWM")),
    openWindow() {
      earlierPeak = Math.max(earlierPeak, read("VmHWM"));
      try {
        writeFileSync("/proc/self/clear_refs", "5");
        windowFloor = null;
      } catch {
        windowFloor = read("VmRSS");
      }
    },
    windowPeakBytes() {
      if (windowFloor === null) return read("VmHWM");
      windowFloor = Math.max(windowFloor, read("VmRSS"));
      return windowFloor;
    },
  };
}
