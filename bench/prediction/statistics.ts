import { quantile } from "../../agent/src/measure/sample.ts";
import type { Comparison } from "./compare.ts";

/** How one quantity was predicted over some comparisons; all but `count` as shares. */
export interface Statistics {
  quantity: Comparison["quantity"];
  count: number;
  error: Spread;
  /** Of the predictions' signed errors: above 0 where they promised too much. */
  medianSigned: number;
  floor: Spread;
  /** Runs, two of each comparison, that lie within the prediction's stated uncertainty, and below its upper end. */
  within: number;
  belowUpperEnd: number;
}

interface Spread {
  median: number;
  p95: number;
}

export function statisticsOf(quantity: Comparison["quantity"], of: readonly Comparison[]): Statistics {
  const runs = of.flatMap(({ measured, predicted, uncertainty }) =>
    measured.map((run) => ({ off: run / predicted - 1, uncertainty })),
  );
  const share = (holds: (run: (typeof runs)[number]) => boolean) =>
    runs.filter(holds).length / Math.max(1, runs.length);
  return {
    quantity,
    count: of.length,
    error: spread(of.map((comparison) => Math.abs(signedErrorOf(comparison)))),
    medianSigned: rounded(spread(of.map(signedErrorOf)).median),
    floor: spread(of.map(floorOf)),
    within: rounded(share(({ off, uncertainty }) => Math.abs(off) <= uncertainty)),
    belowUpperEnd: rounded(share(({ off, uncertainty }) => off <= uncertainty)),
  };
}

/** Heads of a table of `cells`. */
export const figures = [
  "median error",
  "p95 error",
  "median signed",
  "median floor",
  "p95 floor",
  "within the stated uncertainty",
  "below its upper end",
] as const;

export function cells({ error, medianSigned, floor, within, belowUpperEnd }: Statistics): string[] {
  const shares = [error.median, error.p95, medianSigned, floor.median, floor.p95, within, belowUpperEnd];
  return shares.map((share) => `${percent(share)} %`);
}

export function percent(share: number): number {
  return Math.round(share * 1000) / 10;
}

/** Of a prediction against the mean of both rounds, relative. */
function signedErrorOf(comparison: Comparison): number {
  return comparison.predicted / meanOf(comparison) - 1;
}

/** How far the rounds lie from each other: what no prediction can be asked to beat. */
function floorOf({ measured }: Comparison): number {
  return Math.abs(measured[0] - measured[1]) / ((measured[0] + measured[1]) / 2);
}

function meanOf({ measured }: Comparison): number {
  return (measured[0] + measured[1]) / 2;
}

function spread(shares: readonly number[]): Spread {
  const sorted = [...shares].sort((a, b) => a - b);
  return { median: rounded(quantile(sorted, 0.5)), p95: rounded(quantile(sorted, 0.95)) };
}

function rounded(share: number): number {
  return Math.round(share * 1e4) / 1e4;
}
