import { appendFileSync } from "node:fs";
import { basename } from "node:path";

/** One behaviour under one kind of fault, as `make chaos` records it. */
export interface Finding {
  /** Rows of the fault model that this covers. */
  readonly faults: readonly number[];
  readonly fault: string;
  readonly injections: number;
  readonly outcome: string;
}

/**
 * How often a fault is injected: few in `make test`, where every fault is seen once; `make chaos` says how many
 * (ESPALIER_CHAOS_INJECTIONS).
 */
export function injections(few: number): number {
  const asked = Number(process.env["ESPALIER_CHAOS_INJECTIONS"] ?? "");
  return Number.isInteger(asked) && asked > 0 ? Math.max(few, asked) : few;
}

/** Whether all is to be run, also what takes minutes. */
export const isThorough = process.env["ESPALIER_CHAOS_INJECTIONS"] !== undefined;

/** For a test's `skip`: what takes long and has a quicker relative in `make test`. */
export const onlyInChaos = isThorough ? false : "takes long: runs in make chaos";

/** Hands a finding to `make chaos`, which writes them down; elsewhere the tests' own verdict is all. */
export function record(finding: Finding): void {
  const path = process.env["ESPALIER_CHAOS_FINDINGS"];
  const test = basename(process.argv[1] ?? "");
  if (path !== undefined) appendFileSync(path, `${JSON.stringify({ test, ...finding })}\n`);
}

/** Numbers in [0, 1) that are the same in each run (mulberry32), so that a failure can be looked at again. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
