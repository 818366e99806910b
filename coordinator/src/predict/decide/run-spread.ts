import type { KitTiming } from "@espalier/shared/contracts/profile";
import { servingOf } from "./load-readings.ts";
import { medianOf } from "./median.ts";
import { createExcess, noExcess, type P90Excess } from "./p90-excess.ts";
import { interquartileRange, type SamplePlace, type Samples } from "./samples.ts";
import type { TimingLayout } from "./timing-layout.ts";

/**
 * How far a device's runs of one graph lie apart, in processes of their own and some time after each other: what the repetitions
 * of one run don't show, and what a prediction can't be nearer than.
 */
export interface RunSpread {
  /** Standard deviation of one run's median, relative. */
  relative: number;
  /** How many such deviations hold 90 % of the runs, both sides; the more, the fewer graphs told of the spread. */
  quantile: number;
  p90Excess: P90Excess;
}

/** The spreads of all that a visit measures. */
export interface RunSpreads {
  decode: RunSpread;
  prefill: RunSpread;
  memory: RunSpread;
}

/** Of normal values, in their standard deviations: how far nine of ten lie to either side. */
export const normalQuantile95 = 1.6449;

/** Of a device whose graphs were timed once (ours: what calm machines show at least). */
export const unknownSpreads: RunSpreads = {
  decode: { relative: 0.03, quantile: normalQuantile95, p90Excess: noExcess },
  prefill: { relative: 0.03, quantile: normalQuantile95, p90Excess: noExcess },
  memory: { relative: 0.01, quantile: normalQuantile95, p90Excess: noExcess },
};

/**
 * For one device after another whose timings and samples `layout` describes; all of a device's formats share the machine. What a
 * run's own few repetitions leave uncertain of its median is part of how far two runs lie apart: taken off by an estimate from
 * those same repetitions, nothing would be left of a calm device's spread.
 */
export function createSpreads({
  repeated,
  samples,
}: Pick<TimingLayout, "repeated" | "samples">): (timings: readonly KitTiming[]) => RunSpreads {
  const { decode, prefill } = samples;
  const [decodeExcess, prefillExcess] = [createExcess(decode), createExcess(prefill)];
  const quantile = studentQuantile95(repeated.length);
  const [ofDecode, ofPrefill] = [decode.relativeSpreads.slice(), prefill.relativeSpreads.slice()];
  // What repetitions of the only run differ by says something of what runs would.
  const once = (unknown: RunSpread, relativeSpreads: Float64Array, p90Excess: P90Excess): RunSpread => ({
    relative: Math.max(unknown.relative, medianOf(relativeSpreads) / interquartileRange),
    quantile: unknown.quantile,
    p90Excess,
  });
  // Two runs differ by twice the variance of one.
  const twice = (sum: number, p90Excess: P90Excess): RunSpread => ({
    relative: Math.sqrt(sum / repeated.length / 2),
    quantile,
    p90Excess,
  });
  return (timings) => {
    if (repeated.length === 0) {
      ofDecode.set(decode.relativeSpreads);
      ofPrefill.set(prefill.relativeSpreads);
      return {
        decode: once(unknownSpreads.decode, ofDecode, decodeExcess()),
        prefill: once(unknownSpreads.prefill, ofPrefill, prefillExcess()),
        memory: unknownSpreads.memory,
      };
    }
    let [decoded, prefilled, memory] = [0, 0, 0];
    for (const graph of repeated) {
      const first = timings[graph.timing];
      const second = timings[graph.again];
      if (first === undefined || second === undefined) continue;
      decoded += meanSquare(decode, graph.decode);
      prefilled += meanSquare(prefill, graph.prefill);
      memory += squareOf(servingOf(first), servingOf(second));
    }
    return {
      decode: twice(decoded, decodeExcess()),
      prefill: twice(prefilled, prefillExcess()),
      memory: twice(memory, noExcess),
    };
  };
}

/** Over the lengths of one graph, whose runs are the same two. */
function meanSquare({ medians }: Samples, places: readonly SamplePlace[]): number {
  let sum = 0;
  for (let point = 0; point < places.length; point++) {
    const place = places[point];
    if (place === undefined) continue;
    const { sample, again } = place;
    sum += squareOf(medians[sample] ?? 0, medians[again ?? sample] ?? 0);
  }
  return places.length === 0 ? 0 : sum / places.length;
}

function squareOf(a: number, b: number): number {
  if (a <= 0 || b <= 0) return 0;
  const difference = Math.log(a / b);
  return difference * difference;
}

/** 95 % quantile of Student's t distribution (Abramowitz and Stegun 1964, 26.7.5); within 4 % from 2 degrees of freedom on. */
export function studentQuantile95(degrees: number): number {
  const z = normalQuantile95;
  const second = (z ** 3 + z) / 4;
  const third = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const fourth = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + second / degrees + third / degrees ** 2 + fourth / degrees ** 3;
}
