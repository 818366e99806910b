import { dot, type LinearModel } from "./least-squares.ts";

/** What a cost is explained by. */
export interface Features {
  readonly values: Float64Array;
  /** Of each two values, row by row from the diagonal on; of two different ones twice, for either order. */
  readonly products: Float64Array;
}

export function featureVector(...values: number[]): Features {
  const products = values.flatMap((a, i) => values.slice(i).map((b, beyond) => (beyond === 0 ? 1 : 2) * a * b));
  return { values: Float64Array.from(values), products: Float64Array.from(products) };
}

/**
 * A weighted sum of linear models that were fitted to values of the same runs: what it estimates is
 * `coefficients . features`, and the square of that estimate's standard error is `features' . covariance . features`. Put together
 * once for a device, it estimates each of many variants by a handful of multiplications.
 */
export class Estimator {
  readonly #coefficients: Float64Array;
  /** The half from the diagonal on, row by row. */
  readonly #covariance: Float64Array;

  /** @param features how many */
  constructor(features: number) {
    this.#coefficients = new Float64Array(features);
    this.#covariance = new Float64Array((features * (features + 1)) / 2);
  }

  /** @param models null for those that take no part */
  setSum(models: readonly (LinearModel | null)[], weights: readonly number[]): void {
    const coefficients = this.#coefficients;
    clear(coefficients);
    clear(this.#covariance);
    for (let index = 0; index < models.length; index++) {
      const model = models[index];
      if (model === undefined || model === null) continue;
      const weight = weights[index] ?? 0;
      for (let i = 0; i < coefficients.length; i++)
        coefficients[i] = (coefficients[i] ?? 0) + weight * (model.coefficients[i] ?? 0);
      if (isFirstOfProjection(models, index)) this.#addErrors(models, weights, index);
    }
  }

  estimate({ values }: Features): number {
    return dot(this.#coefficients, values);
  }

  /** Square of the estimate's standard error. */
  variance({ products }: Features): number {
    // Rounding may leave less than nothing.
    return Math.max(0, dot(this.#covariance, products));
  }

  /**
   * Errors of all models that are fitted as the one at `first` is, once for all of them: runs of one visit share their luck, so a
   * graph's errors add up over the models.
   */
  #addErrors(models: readonly (LinearModel | null)[], weights: readonly number[], first: number): void {
    const model = models[first];
    if (model === undefined || model === null) return;
    const { projection } = model;
    const covariance = this.#covariance;
    const observations = model.errors.length;
    for (let n = 0; n < observations; n++) {
      let error = 0;
      for (let index = first; index < models.length; index++) {
        const other = models[index];
        if (other?.projection === projection) error += (weights[index] ?? 0) * (other.errors[n] ?? 0);
      }
      let at = 0;
      for (let i = n; i < projection.length; i += observations) {
        const one = error * error * (projection[i] ?? 0);
        for (let j = i; j < projection.length; j += observations) {
          covariance[at] = (covariance[at] ?? 0) + one * (projection[j] ?? 0);
          at++;
        }
      }
    }
  }
}

/** What one model says. */
export function estimateOf({ coefficients }: LinearModel, { values }: Features): number {
  return dot(coefficients, values);
}

function isFirstOfProjection(models: readonly (LinearModel | null)[], index: number): boolean {
  const projection = models[index]?.projection;
  for (let before = 0; before < index; before++) if (models[before]?.projection === projection) return false;
  return true;
}

/** Of so few numbers `fill` would take most of a fit's time. */
function clear(numbers: Float64Array): void {
  for (let i = 0; i < numbers.length; i++) numbers[i] = 0;
}
