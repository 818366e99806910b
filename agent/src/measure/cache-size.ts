import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const units: Record<string, number> = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

/** Bytes of the largest cache of the first core, from /sys; null where the kernel doesn't tell. */
export async function lastLevelCacheBytes(sys: string): Promise<number | null> {
  const folder = join(sys, "devices/system/cpu/cpu0/cache");
  const sizes: number[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const text = await readFile(join(folder, name, "size"), "utf8").catch(() => "");
    const [, digits, unit = ""] = /^(\d+)([KMG]?)/.exec(text) ?? [];
    if (digits !== undefined) sizes.push(Number(digits) * (units[unit] ?? 1));
  }
  return sizes.length === 0 ? null : Math.max(...sizes);
}

/** Twice the cache, at least 64 MiB, and at most a quarter of the owner's memory budget. */
export function bandwidthBufferBytes(cacheBytes: number | null, memoryBudgetBytes: number | null): number {
  const wanted = Math.max(64 * 1024 ** 2, 2 * (cacheBytes ?? 32 * 1024 ** 2));
  return Math.floor(Math.min(wanted, (memoryBudgetBytes ?? Number.POSITIVE_INFINITY) / 4));
}
