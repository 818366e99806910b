/**
 * What a device may run, and what it might with one limit looser. Equal ones are one object, so that a fleet's choice is
 * made over the few kinds of devices that differ in it.
 */
export interface Options {
  /** Candidate indices, ascending. */
  feasible: readonly number[];
  /** Triples: a candidate that breaks just one limit, that limit's index, and the index in `loosenings` that lets it fit. */
  near: readonly number[];
  /** Order of first appearance. */
  id: number;
}

/** How much looser a limit is tried, least first. */
export const loosenings = [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1] as const;

/** The least loosening of a limit that lets `needed` fit; null when none does. */
export function stepOf(needed: number, allowed: number): number | null {
  const step = loosenings.findIndex((by) => needed <= allowed * (1 + by));
  return step === -1 ? null : step;
}

/** What a device may do with a candidate, as a number: not run it, run it, or (from 2 on) run it with one limit looser. */
export const infeasible = 0;
export const feasible = 1;

export function feasibleWith(limit: number, step: number): number {
  return 2 + limit * loosenings.length + step;
}

interface Known {
  codes: Uint8Array;
  options: Options;
  /** Others of the same hash. */
  next: Known | null;
}

/** Options by what a device may do with each candidate, equal ones made only once. The codes may be overwritten after. */
export function createOptions(): (codes: Uint8Array) => Options {
  const byHash = new Map<number, Known>();
  let made = 0;
  return (codes) => {
    const hash = hashOf(codes);
    const first = byHash.get(hash) ?? null;
    for (let known = first; known !== null; known = known.next) if (equal(known.codes, codes)) return known.options;
    const options = optionsOf(codes, made++);
    byHash.set(hash, { codes: Uint8Array.from(codes), options, next: first });
    return options;
  };
}

function optionsOf(codes: Uint8Array, id: number): Options {
  const runs: number[] = [];
  const near: number[] = [];
  codes.forEach((code, candidate) => {
    if (code === feasible) runs.push(candidate);
    if (code <= feasible) return;
    const limit = Math.floor((code - 2) / loosenings.length);
    near.push(candidate, limit, code - feasibleWith(limit, 0));
  });
  return { feasible: runs, near, id };
}

/** FNV-1a (Fowler, Noll and Vo). */
function hashOf(codes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < codes.length; i++) hash = Math.imul(hash ^ (codes[i] ?? 0), 0x01000193);
  return hash;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What is feasible when `limit` is looser by `loosenings[step]`; the same array where nothing more is. */
export function feasibleWhenLooser({ feasible, near }: Options, limit: number, step: number): readonly number[] {
  const more: number[] = [];
  for (let i = 0; i < near.length; i += 3) {
    if (near[i + 1] === limit && (near[i + 2] ?? Infinity) <= step) more.push(near[i] ?? 0);
  }
  return more.length === 0 ? feasible : [...feasible, ...more].sort((a, b) => a - b);
}
