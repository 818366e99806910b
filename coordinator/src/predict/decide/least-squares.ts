/** Which observations explain a value by which features. Many devices time the same graphs, so what follows from it is kept. */
export interface Design {
  features: number;
  observations: number;
  /** Of least squares when only the features whose bits are set in `mask` may be non-zero; null where undetermined. */
  projection(mask: number): Projection | null;
  /** `[observations]`: an observation's residual counts divided by it. */
  scales: readonly number[];
  /** `[observations][features]` */
  rows: readonly Float64Array[];
}

/** No cost is explained by more: what works on so few numbers needs no loops. */
export const mostFeatures = 3;

/** `P [3 * observations]`, row by row, such that `P * values` are the coefficients; zeros below the last feature. */
export type Projection = Float64Array;

/** `value = sum(coefficients[i] * features[i])`; the errors of the measured values become the estimate's by `projection`. */
export interface LinearModel {
  readonly coefficients: Float64Array;
  projection: Projection;
  /** What was measured, and its standard errors: one for each observation of the design. */
  readonly values: Float64Array;
  readonly errors: Float64Array;
}

/**
 * Residuals count relative to the size of an observation's features, so that small graphs say as much as big ones.
 * @param rows features of each observation; equal in number, three at most
 */
export function designOf(rows: readonly (readonly number[])[]): Design {
  const features = rows[0]?.length ?? 0;
  const units = Array.from({ length: features }, (_, i) => Math.max(...rows.map((row) => Math.abs(row[i] ?? 0))));
  const scales = rows.map((row) => Math.max(...row.map((value, i) => Math.abs(value) / (units[i] || 1))));
  const known: (Projection | null | undefined)[] = [];
  return {
    features,
    observations: rows.length,
    scales,
    rows: rows.map((row) => Float64Array.from(row)),
    projection(mask) {
      const before = known[mask];
      if (before !== undefined) return before;
      const made = project(rows, units, scales, mask);
      known[mask] = made;
      return made;
    },
  };
}

/** A model of nothing yet, to be filled with measured values and fitted. @returns null when the design determines none */
export function emptyModel(design: Design): LinearModel | null {
  const { features, observations } = design;
  const projection = features === 0 ? null : design.projection((1 << features) - 1);
  if (projection === null) return null;
  return {
    coefficients: new Float64Array(features),
    projection,
    values: new Float64Array(observations),
    errors: new Float64Array(observations),
  };
}

/** Sets what observation `n` measured. */
export function setReading({ values, errors }: LinearModel, n: number, value: number, standardError: number): void {
  values[n] = value;
  errors[n] = standardError;
}

/**
 * Weighted least squares with coefficients that can't be negative (a cost never is). With at most a handful of features,
 * every set of non-zero coefficients is tried and the feasible one of least residual wins, which is exact (Lawson and
 * Hanson's problem). Sets `coefficients` and `projection` of a model whose errors and values are set, none of them negative:
 * one feature alone then explains them by a coefficient that isn't either.
 */
export function fitNonNegative(design: Design, model: LinearModel): void {
  const { values, coefficients } = model;
  const all = (1 << design.features) - 1;
  let least = Infinity;
  for (let mask = all; mask > 0; mask--) {
    const projection = design.projection(mask);
    if (projection === null || !setNonNegative(coefficients, projection, values)) continue;
    if (mask === all) {
      // Nothing negative without the constraint: no other set can have less residual.
      model.projection = projection;
      return;
    }
    let residual = 0;
    for (let n = 0; n < values.length; n++) {
      const error = (dot(coefficients, design.rows[n] ?? nothing) - (values[n] ?? 0)) / (design.scales[n] ?? 1);
      residual += error * error;
    }
    if (residual >= least * (1 - 1e-12)) continue;
    model.projection = projection;
    least = residual;
  }
  setNonNegative(coefficients, model.projection, values);
}

/** False, with coefficients half set, when one would be negative. */
function setNonNegative(coefficients: Float64Array, projection: Projection, values: Float64Array): boolean {
  let at = 0;
  for (let i = 0; i < coefficients.length; i++) {
    let coefficient = 0;
    for (let n = 0; n < values.length; n++) coefficient += (projection[at++] ?? 0) * (values[n] ?? 0);
    if (coefficient < 0) return false;
    coefficients[i] = coefficient;
  }
  return true;
}

function project(
  rows: readonly (readonly number[])[],
  units: readonly number[],
  scales: readonly number[],
  mask: number,
): Projection | null {
  const columns = units.flatMap((_, column) => ((mask >> column) & 1 ? [column] : []));
  if (columns.some((column) => units[column] === 0)) return null;
  const scaled = rows.map((row, n) => columns.map((column) => at(row, column) / at(units, column) / at(scales, n)));
  const normal = columns.map((_, i) =>
    columns.map((_, j) => scaled.reduce((s, row) => s + at(row, i) * at(row, j), 0)),
  );
  const inverse = invert(normal);
  if (inverse === null) return null;
  return Float64Array.from(
    Array.from({ length: mostFeatures }, (_, column) => {
      const weights = inverse[columns.indexOf(column)] ?? [];
      return scaled.map(
        (row, n) =>
          row.reduce((sum, value, i) => sum + at(weights, i) * value, 0) / at(scales, n) / (units[column] ?? 1),
      );
    }).flat(),
  );
}

/** Gauss-Jordan with pivoting of a small symmetric matrix; null when it is singular to working precision. */
function invert(matrix: readonly (readonly number[])[]): number[][] | null {
  const size = matrix.length;
  const work = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  const largest = Math.max(...matrix.flat().map(Math.abs));
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(at(work[row], column)) > Math.abs(at(work[pivot], column))) pivot = row;
    }
    const divisor = at(work[pivot], column);
    if (Math.abs(divisor) <= largest * 1e-10) return null;
    const pivotRow = (work[pivot] ?? []).map((value) => value / divisor);
    work[pivot] = work[column] ?? [];
    work[column] = pivotRow;
    for (let row = 0; row < size; row++) {
      if (row === column) continue;
      const factor = at(work[row], column);
      work[row] = (work[row] ?? []).map((value, j) => value - factor * at(pivotRow, j));
    }
  }
  return work.map((row) => row.slice(size));
}

const nothing = new Float64Array(0);

/** Over the first one's length. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

function at(row: readonly number[] | undefined, index: number): number {
  return row?.[index] ?? 0;
}
