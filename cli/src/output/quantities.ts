import prettyBytes from "pretty-bytes";
import prettyMs from "pretty-ms";

/** What cannot be known is shown as this. */
export const unknown = "-";

export function bytes(value: number | null | undefined): string {
  return value === null || value === undefined
    ? unknown
    : prettyBytes(value, { binary: true, maximumFractionDigits: 1 });
}

export function milliseconds(value: number | null | undefined): string {
  return value === null || value === undefined ? unknown : `${value.toFixed(value < 100 ? 1 : 0)} ms`;
}

export function joules(value: number): string {
  return `${value.toPrecision(3)} J`;
}

export function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? unknown : `${(share * 100).toFixed(1)} %`;
}

export function ago(atMs: number, nowMs: number): string {
  return atMs === 0 ? "never" : `${prettyMs(Math.max(0, nowMs - atMs), { compact: true })} ago`;
}

/** A point in time for people: how long ago, or with `exactly` the time itself. */
export function time(atMs: number, exactly: boolean): string {
  if (atMs === 0) return unknown;
  return exactly ? new Date(atMs).toISOString() : ago(atMs, Date.now());
}

export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

export function shortDigest(digest: string): string {
  return digest === "" ? unknown : digest.replace("sha256:", "").slice(0, 12);
}
