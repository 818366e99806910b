import type { KitTiming, Sample } from "@espalier/shared/contracts/profile";
import { servingOf } from "./load-readings.ts";
import type { TimingLayout } from "./timing-layout.ts";

/**
 * How far a device's runs of one graph lie apart, in processes of their own and some time after each other: what the repetitions
 * of one run don't show, and what a prediction can't be nearer than.
 */
export interface RunSpread {
  /** Standard deviation of one run, relative. */
  relative: number;
  /** How many such deviations hold 90 % of the runs, both sides; the more, the fewer graphs told of the spread. */
  quantile: number;
  /** How far the 90th percentile of requests lay above a run's median, typically. */
  excessP90: number;
}

/** The spreads of all that a visit measures. */
export interface RunSpreads {
  decode: RunSpread;
  prefill: RunSpread;
  memory: RunSpread;
}

/** Of a device whose graphs were timed once (ours: what calm machines show). */
export const unknownSpreads: RunSpreads = {
  decode: { relative: 0.03, quantile: 1.645, excessP90: 0 },
  prefill: { relative: 0.03, quantile: 1.645, excessP90: 0 },
  memory: { relative: 0.01, quantile: 1.645, excessP90: 0 },
};

/** For one device after another whose timings `layout` describes; all of a device's formats share the machine. */
export function createSpreads({
  repeated,
  samples,
}: Pick<TimingLayout, "repeated" | "samples">): (timings: readonly KitTiming[]) => RunSpreads {
  const decodeExcesses = new Float64Array(samples.decode);
  const prefillExcesses = new Float64Array(samples.prefill);
  const quantile = studentQuantile95(repeated.length);
  const spread = (sum: number, unknown: RunSpread, excessP90: number): RunSpread =>
    repeated.length === 0
      ? { ...unknown, excessP90 }
      : { relative: Math.sqrt(Math.max(0, sum) / repeated.length / 2), quantile, excessP90 };
  return (timings) => {
    // Two runs differ by twice the variance of one, and by what the repetitions of each leave uncertain about it.
    let [decode, prefill, memory] = [0, 0, 0];
    for (const { timing, again } of repeated) {
      const first = timings[timing];
      const second = timings[again ?? timing];
      if (first === undefined || second === undefined) continue;
      decode += meanExcess(first.decode, second.decode);
      prefill += meanExcess(first.prefill, second.prefill);
      memory += squareOf(servingOf(first), servingOf(second));
    }
    let [decoded, prefilled] = [0, 0];
    for (const timing of timings) {
      for (const { ms } of timing.decode) decodeExcesses[decoded++] = ms.p90 / ms.median - 1;
      for (const { ms } of timing.prefill) prefillExcesses[prefilled++] = ms.p90 / ms.median - 1;
    }
    return {
      decode: spread(decode, unknownSpreads.decode, medianOf(decodeExcesses)),
      prefill: spread(prefill, unknownSpreads.prefill, medianOf(prefillExcesses)),
      memory: spread(memory, unknownSpreads.memory, 0),
    };
  };
}

/** Sorts them. */
function medianOf(values: Float64Array): number {
  values.sort();
  const middle = values.length >> 1;
  const upper = values[middle] ?? 0;
  return values.length % 2 === 1 ? upper : (upper + (values[middle - 1] ?? upper)) / 2;
}

/** Over the lengths of one graph, whose runs are the same two: squared difference, less the repetitions' part. */
function meanExcess(first: readonly { ms: Sample }[], second: readonly { ms: Sample }[]): number {
  let sum = 0;
  for (let point = 0; point < first.length; point++) {
    const a = first[point]?.ms;
    const b = second[point]?.ms;
    if (a === undefined || b === undefined) continue;
    sum += squareOf(a.median, b.median) - medianVariance(a) - medianVariance(b);
  }
  return first.length === 0 ? 0 : sum / first.length;
}

/** Of a median of n normal values, relative to it: the square of 1.2533 sigma / sqrt(n), with sigma = IQR / 1.349. */
export function medianVariance({ relativeSpread, repetitions }: Sample): number {
  return ((1.2533 / 1.349) ** 2 * relativeSpread * relativeSpread) / repetitions;
}

function squareOf(a: number, b: number): number {
  if (a <= 0 || b <= 0) return 0;
  const difference = Math.log(a / b);
  return difference * difference;
}

/** 95 % quantile of Student's t distribution (Abramowitz and Stegun 1964, 26.7.5); within 4 % from 2 degrees of freedom on. */
export function studentQuantile95(degrees: number): number {
  const z = 1.6449;
  const second = (z ** 3 + z) / 4;
  const third = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const fourth = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + second / degrees + third / degrees ** 2 + fourth / degrees ** 3;
}
