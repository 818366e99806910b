import { dot, type LinearModel, mostFeatures } from "./least-squares.ts";

/** What a cost is explained by: three numbers at most, zeros for those that there aren't. */
export interface Features {
  /** How many there are. */
  readonly count: number;
  /** `[3]` */
  readonly values: Float64Array;
  /** `[6]`: of each two values, row by row from the diagonal on; of two different ones twice, for either order. */
  readonly products: Float64Array;
}

export function featureVector(a: number, b?: number, c?: number): Features {
  const count = c !== undefined ? 3 : b !== undefined ? 2 : 1;
  const [x, y, z] = [a, b ?? 0, c ?? 0];
  return {
    count,
    values: Float64Array.of(x, y, z),
    products: Float64Array.of(x * x, 2 * x * y, 2 * x * z, y * y, 2 * y * z, z * z),
  };
}

/**
 * A weighted sum of linear models that were fitted to values of the same runs: what it estimates is
 * `coefficients . features`, and the square of that estimate's standard error is `features' . covariance . features`. Put together
 * once for a device, it estimates each of many variants by a handful of multiplications, which loops would take longer than.
 */
export class Estimator {
  /** As the values of features. */
  readonly #coefficients = new Float64Array(mostFeatures);
  /** As their products. */
  readonly #covariance = new Float64Array((mostFeatures * (mostFeatures + 1)) / 2);

  /** @param models null for those that take no part */
  setSum(models: readonly (LinearModel | null)[], weights: readonly number[]): void {
    const coefficients = this.#coefficients;
    clear(coefficients);
    clear(this.#covariance);
    for (let index = 0; index < models.length; index++) {
      const model = models[index];
      if (model === undefined || model === null) continue;
      const weight = weights[index] ?? 0;
      for (let i = 0; i < model.coefficients.length; i++)
        coefficients[i] = (coefficients[i] ?? 0) + weight * (model.coefficients[i] ?? 0);
      if (isFirstOfProjection(models, index)) this.#addErrors(models, weights, index);
    }
  }

  estimate({ values }: Features): number {
    const of = this.#coefficients;
    return at(of, 0) * at(values, 0) + at(of, 1) * at(values, 1) + at(of, 2) * at(values, 2);
  }

  /** Square of the estimate's standard error. */
  variance({ products }: Features): number {
    const of = this.#covariance;
    const first = at(of, 0) * at(products, 0) + at(of, 1) * at(products, 1) + at(of, 2) * at(products, 2);
    const square = first + at(of, 3) * at(products, 3) + at(of, 4) * at(products, 4) + at(of, 5) * at(products, 5);
    // Rounding may leave less than nothing.
    return Math.max(0, square);
  }

  /**
   * Errors of all models that are fitted as the one at `first` is, once for all of them: runs of one visit share their luck, so a
   * graph's errors add up over the models.
   */
  #addErrors(models: readonly (LinearModel | null)[], weights: readonly number[], first: number): void {
    const model = models[first];
    if (model === undefined || model === null) return;
    const { projection } = model;
    const observations = model.errors.length;
    const sums = this.#covariance;
    for (let n = 0; n < observations; n++) {
      let error = 0;
      for (let index = first; index < models.length; index++) {
        const other = models[index];
        if (other?.projection === projection) error += (weights[index] ?? 0) * (other.errors[n] ?? 0);
      }
      const a = at(projection, n);
      const b = at(projection, n + observations);
      const c = at(projection, n + 2 * observations);
      const square = error * error;
      sums[0] = at(sums, 0) + square * a * a;
      sums[1] = at(sums, 1) + square * a * b;
      sums[2] = at(sums, 2) + square * a * c;
      sums[3] = at(sums, 3) + square * b * b;
      sums[4] = at(sums, 4) + square * b * c;
      sums[5] = at(sums, 5) + square * c * c;
    }
  }
}

/** What one model says. */
export function estimateOf({ coefficients }: LinearModel, { values }: Features): number {
  return dot(coefficients, values);
}

function at(numbers: Float64Array, index: number): number {
  return numbers[index] ?? 0;
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
