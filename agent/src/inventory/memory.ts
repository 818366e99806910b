import { readFile } from "node:fs/promises";
import type { ControlGroups } from "../budget/control-groups.ts";

/** Total and available bytes from the text of /proc/meminfo. */
export function readMeminfo(meminfo: string): { totalBytes: number; availableBytes: number } {
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(meminfo)?.[1] ?? 0) * 1024;
  return { totalBytes: field("MemTotal"), availableBytes: field("MemAvailable") };
}

/** Least memory limit on the way from this process's control group to the root; null without one. */
export async function cgroupMemoryLimitBytes(groups: ControlGroups): Promise<number | null> {
  const limits: number[] = [];
  for (const file of groups.memoryLimitFiles) {
    const text = await readFile(file, "utf8").catch(() => "max");
    const bytes = Number(text.trim());
    // v1 says "no limit" by a number near 2^63.
    if (Number.isFinite(bytes) && bytes > 0 && bytes < 2 ** 60) limits.push(bytes);
  }
  return limits.length === 0 ? null : Math.min(...limits);
}
