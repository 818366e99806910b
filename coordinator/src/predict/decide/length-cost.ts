import { emptyModel, fitNonNegative, type LinearModel, setReading } from "./least-squares.ts";
import { type RunSpread, unknownSpreads } from "./run-spread.ts";
import type { SamplePlace, Samples } from "./samples.ts";
import type { SeriesLayout } from "./timing-layout.ts";

/**
 * What a run costs as a function of a shape, at one context or prompt length. Fitted when it is first asked for: a request is
 * made of the lengths next to its own.
 */
export class LengthCost {
  /**
   * `columns`: features `[1, layers, sum of FFN columns]`; the intercept is embedding, head and per-run overhead.
   * `parameters`: only one FFN size was measured, so a layer's cost is taken to follow its parameters: `[1, sum of parameters]`.
   */
  readonly kind: SeriesLayout["kind"];
  /** Tokens in the cache (decode) or in the prompt (prefill). */
  readonly tokens: number;
  readonly #layout: SeriesLayout;
  readonly #samples: Samples;
  readonly #model: LinearModel;
  #spread: RunSpread = unknownSpreads.decode;
  #isFitted = false;

  /** @param samples of one device after another @returns null where the timed graphs determine no cost */
  static of(layout: SeriesLayout, samples: Samples): LengthCost | null {
    const model = emptyModel(layout.design);
    return model === null ? null : new LengthCost(layout, samples, model);
  }

  private constructor(layout: SeriesLayout, samples: Samples, model: LinearModel) {
    this.kind = layout.kind;
    this.tokens = layout.tokens;
    this.#layout = layout;
    this.#samples = samples;
    this.#model = model;
  }

  /** The samples are of another device, whose runs lie apart by `spread`. */
  renew(spread: RunSpread): void {
    this.#spread = spread;
    this.#isFitted = false;
  }

  /** Fitted to the device that the samples are of. */
  get model(): LinearModel {
    if (!this.#isFitted) this.#fit();
    this.#isFitted = true;
    return this.#model;
  }

  #fit(): void {
    const { places, design } = this.#layout;
    for (let n = 0; n < places.length; n++) {
      const place = places[n];
      if (place !== undefined) setSamples(this.#model, n, this.#samples, place, this.#spread);
    }
    fitNonNegative(design, this.#model);
  }
}

/**
 * The mean of both runs, each weighted by the inverse of its variance: of runs on this device, and of the median of its own
 * repetitions (random effects; DerSimonian and Laird 1986).
 */
function setSamples(
  model: LinearModel,
  n: number,
  { medians, variances }: Samples,
  { sample, again }: SamplePlace,
  { relative }: RunSpread,
): void {
  const first = medians[sample] ?? 0;
  const one = first * first * (relative * relative + (variances[sample] ?? 0));
  if (again === null) {
    setReading(model, n, first, Math.sqrt(one));
    return;
  }
  const second = medians[again] ?? 0;
  const other = second * second * (relative * relative + (variances[again] ?? 0));
  const sum = one + other;
  const share = sum === 0 ? 0.5 : other / sum;
  const error = sum === 0 ? 0 : Math.sqrt((one * other) / sum);
  setReading(model, n, share * first + (1 - share) * second, error);
}
