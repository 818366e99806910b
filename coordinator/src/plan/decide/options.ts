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

/** A tree of numbers from the root to the options that they spell. */
interface Node {
  next: (Node | undefined)[];
  options: Options | null;
}

/** Makes options, equal ones only once. */
export function createOptions(): (feasible: readonly number[], near: readonly number[]) => Options {
  const root: Node = { next: [], options: null };
  let made = 0;
  const step = (node: Node, at: number): Node => {
    let next = node.next[at];
    if (next === undefined) node.next[at] = next = { next: [], options: null };
    return next;
  };
  return (feasible, near) => {
    let node = root;
    for (let i = 0; i < feasible.length; i++) node = step(node, 1 + (feasible[i] ?? 0));
    // 0 spells the end of the first list.
    node = step(node, 0);
    for (let i = 0; i < near.length; i++) node = step(node, near[i] ?? 0);
    node.options ??= { feasible, near, id: made++ };
    return node.options;
  };
}

/** What is feasible when `limit` is looser by `loosenings[step]`; the same array where nothing more is. */
export function feasibleWhenLooser({ feasible, near }: Options, limit: number, step: number): readonly number[] {
  const more: number[] = [];
  for (let i = 0; i < near.length; i += 3) {
    if (near[i + 1] === limit && (near[i + 2] ?? Infinity) <= step) more.push(near[i] ?? 0);
  }
  return more.length === 0 ? feasible : [...feasible, ...more].sort((a, b) => a - b);
}
