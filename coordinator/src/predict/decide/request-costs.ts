import type { CostModel } from "./device-model.ts";
import type { Projection } from "./least-squares.ts";
import type { LengthWeights } from "./length-weights.ts";
import type { RunSpread } from "./run-spread.ts";
import type { ShapeFeatures } from "./shape-features.ts";

/** No prediction claims to be nearer than this, however calm the measurements were (ours: the repeat-measurement floor). */
export const uncertaintyFloor = 0.05;
/** Added where a layer's cost had to be taken from its parameters, since only one FFN size was measured (ours). */
const singleWidthUncertainty = 0.1;
/** Added per doubling of the length beyond the longest measured one (ours: attention grows faster than the line). */
const extrapolationUncertainty = 0.1;
/** Relative error given to the attention's part of a cost (ours: it is timed on one graph). */
const attentionUncertainty = 0.1;

/** Where a cost's numbers are. */
const [attentionMs, systematicError, runDeviation, quantile, p90Excess] = [0, 1, 2, 3, 4];

/** Costs of measured lengths that share a way of fitting, weighted and summed. */
interface Part {
  kind: CostModel["kind"];
  projection: Projection;
  coefficients: Float64Array;
  /** `[observations]`: standard errors, added up since runs of one visit share their luck. */
  errors: Float64Array;
}

/**
 * What one request costs on a device as a function of a shape alone: the costs at the measured lengths, put together for the
 * request's own once, so that each of many variants is a handful of multiplications. Times in ms.
 */
export class RequestCost {
  /** As many as are in use, of those that were ever needed. */
  readonly #parts: Part[] = [];
  #used = 0;
  /** Numbers of their own in an object would be boxed each time they change. */
  readonly #of = new Float64Array(5);

  /** Puts the costs of `series` together for a request's `lengths`. */
  set(
    series: readonly CostModel[],
    lengths: LengthWeights,
    spread: RunSpread,
    attention: { ms: number; tokens: number } | null,
  ): void {
    this.#used = 0;
    const reach = Math.max(series.at(-1)?.tokens ?? 1, attention?.tokens ?? 1);
    const beyond = Math.max(0, Math.log2(lengths.longest / reach)) * extrapolationUncertainty;
    let oneWidth = 0;
    for (let index = 0; index < series.length; index++) {
      const weight = lengths.weights[index] ?? 0;
      const cost = series[index];
      if (weight === 0 || cost === undefined) continue;
      if (cost.kind === "parameters") oneWidth = singleWidthUncertainty;
      this.#add(weight, cost);
    }
    const of = this.#of;
    of[attentionMs] = (attention?.ms ?? 0) * lengths.attention;
    of[systematicError] = beyond + oneWidth;
    of[runDeviation] = spread.relative;
    of[quantile] = spread.quantile;
    of[p90Excess] = spread.p90Excess;
  }

  /** How far the 90th percentile of requests lies above their median, relative. */
  get p90Excess(): number {
    return this.#of[p90Excess] ?? 0;
  }

  /** The median of a run, and what 90 % of runs stay within, as `[value, relativeUncertainty]` to `into[at]`. */
  write(shape: ShapeFeatures, into: Float64Array, at: number): void {
    const of = this.#of;
    const attention = (of[attentionMs] ?? 0) * shape.heads;
    let value = attention;
    let variance = 0;
    for (let part = 0; part < this.#used; part++) {
      const summed = this.#parts[part];
      if (summed === undefined) continue;
      const { kind, projection, coefficients, errors } = summed;
      const features = shape[kind];
      for (let i = 0; i < coefficients.length; i++) value += (coefficients[i] ?? 0) * (features[i] ?? 0);
      const leverage = projection.squaredLeverage(features);
      for (let n = 0; n < errors.length; n++) variance += (leverage[n] ?? 0) * (errors[n] ?? 0) * (errors[n] ?? 0);
    }
    value = Math.max(0, value);
    // The kit's own runs, and the run that is predicted.
    const ownRun = (of[runDeviation] ?? 0) * value;
    const deviation = (of[quantile] ?? 0) * Math.sqrt(variance + ownRun * ownRun);
    const error = value === 0 ? 0 : (deviation + attentionUncertainty * attention) / value;
    into[at] = value;
    into[at + 1] = Math.max(uncertaintyFloor, error + (of[systematicError] ?? 0));
  }

  #add(weight: number, { kind, model }: CostModel): void {
    const { projection, coefficients, errors } = model;
    const part = this.#partOf(kind, projection, coefficients.length, errors.length);
    for (let i = 0; i < coefficients.length; i++)
      part.coefficients[i] = (part.coefficients[i] ?? 0) + weight * (coefficients[i] ?? 0);
    for (let n = 0; n < errors.length; n++) part.errors[n] = (part.errors[n] ?? 0) + weight * (errors[n] ?? 0);
  }

  /** The one in use for this way of fitting, or an empty one. */
  #partOf(kind: CostModel["kind"], projection: Projection, features: number, observations: number): Part {
    for (let index = 0; index < this.#used; index++) {
      const part = this.#parts[index];
      if (part !== undefined && part.projection === projection && part.kind === kind) return part;
    }
    const free = this.#parts[this.#used];
    const fits = free?.coefficients.length === features && free.errors.length === observations;
    const part = fits && free !== undefined ? free : emptyPart(kind, projection, features, observations);
    part.kind = kind;
    part.projection = projection;
    part.coefficients.fill(0);
    part.errors.fill(0);
    this.#parts[this.#used++] = part;
    return part;
  }
}

function emptyPart(kind: CostModel["kind"], projection: Projection, features: number, observations: number): Part {
  return { kind, projection, coefficients: new Float64Array(features), errors: new Float64Array(observations) };
}
