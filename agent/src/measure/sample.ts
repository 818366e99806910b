import type { Sample } from "@espalier/shared/contracts/profile";

/** Linear interpolation between order statistics (Hyndman and Fan 1996, type 7). `sorted` is ascending, not empty. */
export function quantile(sorted: readonly number[], share: number): number {
  const position = (sorted.length - 1) * share;
  const low = sorted[Math.floor(position)] ?? Number.NaN;
  const high = sorted[Math.ceil(position)] ?? Number.NaN;
  return low + (high - low) * (position - Math.floor(position));
}

/** @throws {RangeError} for no values */
export function summarize(values: readonly number[]): Sample {
  if (values.length === 0) throw new RangeError("summarize: no values");
  const sorted = [...values].sort((a, b) => a - b);
  const median = quantile(sorted, 0.5);
  const interquartile = quantile(sorted, 0.75) - quantile(sorted, 0.25);
  return {
    median,
    p90: quantile(sorted, 0.9),
    relativeSpread: median === 0 ? 0 : interquartile / Math.abs(median),
    repetitions: values.length,
    outliers: values.filter((value) => isOutlier(value, quantile(sorted, 0.25), quantile(sorted, 0.75))).length,
  };
}

/** Further from the middle half than one and a half times its width (Tukey 1977). */
function isOutlier(value: number, lower: number, upper: number): boolean {
  const reach = 1.5 * (upper - lower);
  return value < lower - reach || value > upper + reach;
}

export interface RepeatPolicy {
  readonly minRepetitions: number;
  readonly maxMs: number;
  /** Of the median's standard error: good enough to stop early. */
  readonly relativeError: number;
}

/** Whether values taken in `elapsedMs` suffice. Pure. */
export function isEnough(values: readonly number[], elapsedMs: number, policy: RepeatPolicy): boolean {
  if (values.length === 0) return false;
  if (elapsedMs >= policy.maxMs) return true;
  return values.length >= policy.minRepetitions && medianError(summarize(values)) <= policy.relativeError;
}

/** Standard error of a median of n normal values, relative to it: 1.2533 sigma / sqrt(n), with sigma = IQR / 1.349. */
function medianError({ relativeSpread, repetitions }: Sample): number {
  return (1.2533 * relativeSpread) / 1.349 / Math.sqrt(repetitions);
}
