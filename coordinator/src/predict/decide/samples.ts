import type { KitTiming, Sample } from "@espalier/shared/contracts/profile";

/** Of normal values, in their standard deviations: how far the middle half reaches. */
export const interquartileRange = 1.349;

/** Samples of decoding or of prefill side by side, timing by timing and point by point. Times in ms. */
export interface Samples {
  /** Of each sample the tokens in the cache, or in the prompt. */
  readonly lengths: readonly number[];
  readonly medians: Float64Array;
  /** Interquartile ranges of the repetitions, relative to their medians. */
  readonly relativeSpreads: Float64Array;
  /** Of each median relative to it, by its own repetitions. */
  readonly variances: Float64Array;
  /** How far the 90th percentile lies above the median, relative to it. */
  readonly excesses: Float64Array;
}

/** Where a sample is, and that of the graph's second visit, if there was one. */
export interface SamplePlace {
  sample: number;
  again: number | null;
}

interface TimedLike {
  graphId: string;
  decode: readonly number[];
  prefill: readonly number[];
  /** Where its samples begin. */
  decodeStart: number;
  prefillStart: number;
}

/**
 * Takes the samples out of one device's timings after another, as long as all were timed as the first one: the same graphs in the
 * same order at the same lengths. A profile is thousands of small objects, which are gone through only here.
 */
export class SampleReader {
  readonly decode: Samples;
  readonly prefill: Samples;
  readonly #expected: readonly TimedLike[];

  constructor(first: readonly KitTiming[]) {
    let [decodeStart, prefillStart] = [0, 0];
    this.#expected = first.map(({ graphId, decode, prefill }) => {
      const timed: TimedLike = {
        graphId,
        decode: decode.map(({ contextTokens }) => contextTokens),
        prefill: prefill.map(({ promptTokens }) => promptTokens),
        decodeStart,
        prefillStart,
      };
      decodeStart += decode.length;
      prefillStart += prefill.length;
      return timed;
    });
    this.decode = emptySamples(this.#expected.flatMap(({ decode }) => decode));
    this.prefill = emptySamples(this.#expected.flatMap(({ prefill }) => prefill));
  }

  /** @returns false, with the samples partly read, when the device was timed otherwise */
  read(timings: readonly KitTiming[]): boolean {
    if (timings.length !== this.#expected.length) return false;
    for (let n = 0; n < timings.length; n++) {
      const [timing, expected] = [timings[n], this.#expected[n]];
      if (timing === undefined || timing.graphId !== expected?.graphId) return false;
      const { decode, prefill } = timing;
      if (decode.length !== expected.decode.length || prefill.length !== expected.prefill.length) return false;
      for (let point = 0; point < decode.length; point++) {
        const at = decode[point];
        if (at === undefined || at.contextTokens !== expected.decode[point]) return false;
        take(at.ms, this.decode, expected.decodeStart + point);
      }
      for (let point = 0; point < prefill.length; point++) {
        const at = prefill[point];
        if (at === undefined || at.promptTokens !== expected.prefill[point]) return false;
        take(at.ms, this.prefill, expected.prefillStart + point);
      }
    }
    return true;
  }

  /** Where a point of a graph's two visits is, which have the same points. */
  place(what: "decode" | "prefill", visits: { timing: number; again: number | null }, point: number): SamplePlace {
    const start = (timing: number) => this.#expected[timing]?.[`${what}Start`] ?? 0;
    const { timing, again } = visits;
    return { sample: start(timing) + point, again: again === null ? null : start(again) + point };
  }
}

function emptySamples(lengths: readonly number[]): Samples {
  const numbers = () => new Float64Array(lengths.length);
  return { lengths, medians: numbers(), relativeSpreads: numbers(), variances: numbers(), excesses: numbers() };
}

/** The variance of a median of n normal values: the square of 1.2533 sigma / sqrt(n), with sigma by the IQR. */
function take(
  { median, p90, relativeSpread, repetitions }: Sample,
  { medians, relativeSpreads, variances, excesses }: Samples,
  at: number,
): void {
  const sigma = relativeSpread / interquartileRange;
  medians[at] = median;
  relativeSpreads[at] = relativeSpread;
  variances[at] = (1.2533 * 1.2533 * sigma * sigma) / repetitions;
  excesses[at] = median > 0 ? p90 / median - 1 : 0;
}
