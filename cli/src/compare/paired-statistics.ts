/** A figure with its 95 % confidence interval. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Mean difference per token of two sums per window, `b - a`, and its interval. Windows are the samples, since tokens of
 * one window are not independent; taken in pairs, what makes a window hard for both cancels out. The variance is the
 * ratio estimator's (windows may differ in length), the quantile Student's: as the builder's own intervals.
 * @param tokens of each window, all positive; at least one window
 */
export function pairedDifference(tokens: readonly number[], a: readonly number[], b: readonly number[]): Interval {
  const total = tokens.reduce((sum, count) => sum + count, 0);
  const differences = tokens.map((_, index) => (b[index] ?? 0) - (a[index] ?? 0));
  const value = differences.reduce((sum, difference) => sum + difference, 0) / total;
  const samples = differences.length;
  if (samples < 2) return { value, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const squares = differences.reduce(
    (sum, difference, index) => sum + (difference - (tokens[index] ?? 0) * value) ** 2,
    0,
  );
  const halfWidth = (studentQuantile(samples - 1) * Math.sqrt((squares * samples) / (samples - 1))) / total;
  return { value, low: value - halfWidth, high: value + halfWidth };
}

/** The 97.5 % quantile of Student's t; exact for 1 and 2 degrees, else Cornish and Fisher's expansion (within 0.5 %). */
export function studentQuantile(degrees: number): number {
  if (degrees === 1) return 12.7062;
  if (degrees === 2) return 4.3027;
  const z = 1.959963984540054;
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + first / degrees + second / degrees ** 2 + third / degrees ** 3;
}
