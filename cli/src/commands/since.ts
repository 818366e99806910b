import { InvalidArgumentError } from "commander";

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** commander's parser of `--since 30m|2h|7d|<time>`: milliseconds since 1970. */
export function parseSince(text: string, nowMs = Date.now()): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) return nowMs - Number(count) * (units[unit] ?? 0);
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs)) throw new InvalidArgumentError("expected e.g. 30m, 2h, 7d or 2026-01-31T12:00:00Z");
  return atMs;
}
