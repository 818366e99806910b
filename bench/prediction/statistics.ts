import { upperEndOf } from "@espalier/shared/contracts/plan";
import { quantile } from "../../agent/src/measure/sample.ts";
import { normalQuantile95 } from "../../coordinator/src/predict/decide/run-spread.ts";
import type { Comparison, Run } from "./compare.ts";

/** Of normal values, in their standard deviations: where their 90th percentile lies. */
const normalQuantile90 = 1.2816;

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
  /** Runs whose requests' 90th percentile lies below what limits are held against; null for memory. */
  p90Below: number | null;
}

interface Spread {
  median: number;
  p95: number;
}

export function statisticsOf(quantity: Comparison["quantity"], of: readonly Comparison[]): Statistics {
  const deviations = of.flatMap(deviationsOf);
  const p90s = of.flatMap(({ prediction, runs }) =>
    runs.flatMap(({ p90 }) => (p90 === null ? [] : [p90 <= upperEndOf(prediction)])),
  );
  return {
    quantity,
    count: of.length,
    error: spread(of.map((comparison) => Math.abs(signedErrorOf(comparison)))),
    medianSigned: rounded(spread(of.map(signedErrorOf)).median),
    floor: spread(of.map(floorOf)),
    within: rounded(shareOf(deviations.map((deviation) => Math.abs(deviation) <= 1))),
    belowUpperEnd: rounded(shareOf(deviations.map((deviation) => deviation <= 1))),
    p90Below: p90s.length === 0 ? null : rounded(shareOf(p90s)),
  };
}

export function shareOf(holds: readonly boolean[]): number {
  return holds.filter((held) => held).length / Math.max(1, holds.length);
}

/** How far both runs lie off the prediction, in units of its stated uncertainty. */
export function deviationsOf({ prediction, runs }: Comparison): number[] {
  return runs.map(({ value, requests }) => (value / prediction.value - 1) / uncertaintyOfMedian(prediction, requests));
}

/**
 * What nine of ten medians of so few requests stay within: a prediction is of a run's median, and of its requests it says where their
 * 90th percentile lies. A median of n normal values has about pi / (2n + pi - 2) of their variance (exact for one, and for many).
 */
function uncertaintyOfMedian(prediction: Comparison["prediction"], requests: number): number {
  const { relativeUncertainty } = prediction;
  if (!("p90Excess" in prediction)) return relativeUncertainty;
  const ofOneRequest = (normalQuantile95 / normalQuantile90) * prediction.p90Excess;
  return Math.hypot(relativeUncertainty, ofOneRequest * Math.sqrt(Math.PI / (2 * requests + Math.PI - 2)));
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

export function meanOf([first, second]: Comparison["runs"], read: (run: Run) => number): number {
  return (read(first) + read(second)) / 2;
}

/** Of a prediction against the mean of both rounds, relative. */
function signedErrorOf({ prediction, runs }: Comparison): number {
  return prediction.value / meanOf(runs, ({ value }) => value) - 1;
}

/** How far the rounds lie from each other: what no prediction can be asked to beat. */
function floorOf({ runs }: Comparison): number {
  return Math.abs(runs[0].value - runs[1].value) / meanOf(runs, ({ value }) => value);
}

function spread(shares: readonly number[]): Spread {
  const sorted = [...shares].sort((a, b) => a - b);
  return { median: rounded(quantile(sorted, 0.5)), p95: rounded(quantile(sorted, 0.95)) };
}

function rounded(share: number): number {
  return Math.round(share * 1e4) / 1e4;
}
