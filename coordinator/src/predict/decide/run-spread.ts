import type { KitTiming, Sample } from "@espalier/shared/contracts/profile";
import type { Visits } from "./timing-layout.ts";

/**
 * How far a device's runs of one graph lie apart, in processes of their own and some time after each other: what the repetitions
 * of one run don't show, and what a prediction can't be nearer than.
 */
export interface RunSpread {
  /** Standard deviation of one run, relative. */
  relative: number;
  /** How many such deviations hold 90 % of the runs, both sides; the more, the fewer graphs told of the spread. */
  quantile: number;
}

/** The spreads of all that a visit measures. */
export interface RunSpreads {
  decode: RunSpread;
  prefill: RunSpread;
  memory: RunSpread;
}

/** Of a device whose graphs were timed once (ours: what calm machines show). */
const unknownSpreads: RunSpreads = {
  decode: { relative: 0.03, quantile: 1.645 },
  prefill: { relative: 0.03, quantile: 1.645 },
  memory: { relative: 0.01, quantile: 1.645 },
};

/** @param repeated graphs that were timed twice; all of a device, since its formats share the machine */
export function runSpreads(repeated: readonly Visits[], timings: readonly KitTiming[]): RunSpreads {
  if (repeated.length === 0) return unknownSpreads;
  // Two runs differ by twice the variance of one, and by what the repetitions of each leave uncertain about it.
  let [decode, prefill, memory] = [0, 0, 0];
  for (const { timing, again } of repeated) {
    const [first, second] = [timings[timing], timings[again ?? timing]];
    if (first === undefined || second === undefined) continue;
    decode += meanExcess(first.decode, second.decode);
    prefill += meanExcess(first.prefill, second.prefill);
    memory += squareOf(peakOf(first), peakOf(second));
  }
  const quantile = studentQuantile95(repeated.length);
  const spread = (sum: number): RunSpread => ({
    relative: Math.sqrt(Math.max(0, sum) / repeated.length / 2),
    quantile,
  });
  return { decode: spread(decode), prefill: spread(prefill), memory: spread(memory) };
}

function peakOf({ loadedMemoryBytes, runningMemoryBytes }: KitTiming): number {
  return loadedMemoryBytes + runningMemoryBytes;
}

/** Over the lengths of one graph, whose runs are the same two: squared difference, less the repetitions' part. */
function meanExcess(first: readonly { ms: Sample }[], second: readonly { ms: Sample }[]): number {
  let sum = 0;
  for (let point = 0; point < first.length; point++) {
    const a = first[point]?.ms;
    const b = second[point]?.ms;
    if (a === undefined || b === undefined) continue;
    const own = relativeError(a);
    const other = relativeError(b);
    sum += squareOf(a.median, b.median) - own * own - other * other;
  }
  return first.length === 0 ? 0 : sum / first.length;
}

/** Standard error of a median of n normal values, relative to it: 1.2533 sigma / sqrt(n), with sigma = IQR / 1.349. */
export function relativeError({ relativeSpread, repetitions }: Sample): number {
  return (1.2533 * relativeSpread) / 1.349 / Math.sqrt(repetitions);
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
