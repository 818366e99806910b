import { Estimator } from "./estimator.ts";
import type { LinearModel } from "./least-squares.ts";
import type { LengthCost } from "./length-cost.ts";
import type { RequestWeights } from "./length-weights.ts";
import { excessOf } from "./p90-excess.ts";
import type { RunSpread } from "./run-spread.ts";
import type { ShapeFeatures } from "./shape-features.ts";

/** No prediction claims to be nearer than this, however calm the measurements were (ours: the repeat-measurement floor). */
export const uncertaintyFloor = 0.05;
/** Relative error given to the attention's part of a cost (ours: it is timed on one graph). */
const attentionUncertainty = 0.1;

/** Where a cost's numbers are. */
const [attention, systematicError, runDeviation, quantile, p90Excess] = [0, 1, 2, 3, 4];

/** Costs of measured lengths that are explained by the same features. */
interface Part {
  kind: LengthCost["kind"];
  /** As the lengths, null where another kind of features explains the cost or the request has nothing of the length. */
  models: (LinearModel | null)[];
  sum: Estimator;
}

/**
 * What one request costs on a device as a function of a shape alone: the costs at the measured lengths, put together for the
 * request's own once, so that each of many variants is a handful of multiplications. Times in ms.
 */
export class RequestCost {
  readonly #costs: readonly LengthCost[];
  readonly #lengths: readonly number[];
  readonly #parts: readonly Part[];
  /** Numbers of their own in an object would be boxed each time they change. */
  readonly #of = new Float64Array(5);

  /** @param costs at the measured lengths, of one device after another */
  constructor(costs: readonly LengthCost[]) {
    this.#costs = costs;
    this.#lengths = costs.map(({ tokens }) => tokens);
    this.#parts = [...new Set(costs.map(({ kind }) => kind))].map((kind) => ({
      kind,
      models: costs.map(() => null),
      sum: new Estimator(),
    }));
  }

  /** Puts the costs together for a request's `lengths`. @param attentionMs outside the measured lengths, per unit and head */
  set(lengths: RequestWeights, spread: RunSpread, attentionMs: number): void {
    const { weights } = lengths;
    for (const { kind, models, sum } of this.#parts) {
      for (let length = 0; length < models.length; length++) {
        const cost = this.#costs[length];
        models[length] = cost?.kind === kind && weights[length] !== 0 ? cost.model : null;
      }
      sum.setSum(models, weights);
    }
    const of = this.#of;
    of[attention] = attentionMs * lengths.attention;
    of[systematicError] = lengths.systematicError;
    of[runDeviation] = spread.relative;
    of[quantile] = spread.quantile;
    of[p90Excess] = excessOf(spread.p90Excess, this.#lengths, lengths.weights);
  }

  /** How far the 90th percentile of requests lies above their median, relative. */
  get p90Excess(): number {
    return this.#of[p90Excess] ?? 0;
  }

  /** The median of a run, and what 90 % of runs stay within, as `[value, relativeUncertainty]` to `into[at]`. */
  write(shape: ShapeFeatures, into: Float64Array, at: number): void {
    const of = this.#of;
    const attentionMs = (of[attention] ?? 0) * shape.heads;
    let value = attentionMs;
    let variance = 0;
    for (const { kind, sum } of this.#parts) {
      value += sum.estimate(shape[kind]);
      variance += sum.variance(shape[kind]);
    }
    value = Math.max(0, value);
    // The kit's own runs, and the run that is predicted.
    const ownRun = (of[runDeviation] ?? 0) * value;
    const deviation = (of[quantile] ?? 0) * Math.sqrt(variance + ownRun * ownRun);
    const error = value === 0 ? 0 : (deviation + attentionUncertainty * Math.abs(attentionMs)) / value;
    into[at] = value;
    into[at + 1] = Math.max(uncertaintyFloor, error + (of[systematicError] ?? 0));
  }
}
