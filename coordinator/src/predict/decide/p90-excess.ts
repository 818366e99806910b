import { medianOf } from "./median.ts";
import type { Samples } from "./samples.ts";

/**
 * How far the 90th percentile of requests lies above their median, relative, by the lengths that were timed: a stall of some
 * milliseconds is the more of a request the shorter that is.
 */
export interface P90Excess {
  readonly lengths: readonly number[];
  /** Of each length, as typical of the graphs timed at it. */
  readonly values: Float64Array;
}

export const noExcess: P90Excess = { lengths: [], values: new Float64Array(0) };

/** For one device after another whose samples are read into `samples`; the values are the last one's. */
export function createExcess({ lengths, excesses }: Pick<Samples, "lengths" | "excesses">): () => P90Excess {
  const known = [...new Set(lengths)];
  const places = known.map((length) => lengths.flatMap((other, at) => (other === length ? [at] : [])));
  const scratch = places.map((at) => new Float64Array(at.length));
  const excess = { lengths: known, values: new Float64Array(known.length) };
  return () => {
    for (let n = 0; n < known.length; n++) {
      const [at, values] = [places[n], scratch[n]];
      if (at === undefined || values === undefined) continue;
      for (let i = 0; i < at.length; i++) values[i] = excesses[at[i] ?? 0] ?? 0;
      excess.values[n] = medianOf(values);
    }
    return excess;
  };
}

/** Of a request that is made of runs of `lengths`, so many of each: their mean. Pieces of a long prompt scatter as one piece does. */
export function excessOf(
  { lengths: known, values }: P90Excess,
  lengths: readonly number[],
  weights: readonly number[],
) {
  let [sum, total] = [0, 0];
  for (let n = 0; n < lengths.length; n++) {
    const weight = weights[n] ?? 0;
    sum += weight * (values[known.indexOf(lengths[n] ?? 0)] ?? 0);
    total += weight;
  }
  return total > 0 ? Math.max(0, sum / total) : 0;
}
