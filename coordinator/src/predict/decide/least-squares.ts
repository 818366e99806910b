/** One measured value and the features it is explained by. `standardError` is in the unit of `value`. */
export interface Observation {
  features: readonly number[];
  value: number;
  standardError: number;
}

/** `value = sum(coefficients[i] * features[i])`; `covariance` of the coefficients follows from the observations' errors. */
export interface LinearModel {
  coefficients: readonly number[];
  covariance: readonly (readonly number[])[];
}

export interface Estimate {
  value: number;
  standardError: number;
}

/**
 * Weighted least squares with coefficients that can't be negative (a cost never is). Weights make relative residuals
 * count, so that small graphs say as much as big ones. With at most a handful of features, every set of non-zero
 * coefficients is tried and the feasible one of least residual wins, which is exact (Lawson and Hanson's problem).
 *
 * @returns null when the observations don't determine the coefficients (fewer independent ones than features)
 */
export function fitNonNegative(observations: readonly Observation[]): LinearModel | null {
  const width = observations[0]?.features.length ?? 0;
  const all = Array.from({ length: width }, (_, index) => index);
  if (width === 0 || solve(observations, all) === null) return null;
  let best: { model: LinearModel; residual: number } | null = null;
  for (let mask = (1 << width) - 1; mask > 0; mask--) {
    const columns = all.filter((index) => (mask >> index) & 1);
    const projection = solve(observations, columns);
    if (projection === null) continue;
    const model = toModel(observations, columns, projection, width);
    if (model.coefficients.some((coefficient) => coefficient < 0)) continue;
    // Nothing negative without the constraint: no other set can have less residual.
    if (columns.length === width) return model;
    const residual = observations.reduce((sum, observation) => {
      const error = (estimate(model, observation.features).value - observation.value) / scaleOf(observation);
      return sum + error * error;
    }, 0);
    if (best === null || residual < best.residual - 1e-12) best = { model, residual };
  }
  return best?.model ?? null;
}

export function estimate(model: LinearModel, features: readonly number[]): Estimate {
  const value = dot(model.coefficients, features);
  const variance = dot(
    features,
    model.covariance.map((row) => dot(row, features)),
  );
  return { value, standardError: Math.sqrt(Math.max(0, variance)) };
}

/** Rows are divided by this, so that residuals are relative. */
function scaleOf(observation: Observation): number {
  return Math.max(Math.abs(observation.value), Number.MIN_VALUE * 1e10);
}

/** `P [columns, n]` such that `coefficients = P * values`, or null for a singular system. */
function solve(observations: readonly Observation[], columns: readonly number[]): number[][] | null {
  const units = columns.map((column) => Math.max(...observations.map((o) => Math.abs(o.features[column] ?? 0))));
  if (units.some((unit) => unit === 0)) return null;
  const rows = observations.map((o) => columns.map((c, i) => (o.features[c] ?? 0) / (units[i] ?? 1) / scaleOf(o)));
  const normal = columns.map((_, i) => columns.map((_, j) => rows.reduce((s, row) => s + at(row, i) * at(row, j), 0)));
  const inverse = invert(normal);
  if (inverse === null) return null;
  return inverse.map((row, i) => observations.map((o, n) => dot(row, rows[n] ?? []) / scaleOf(o) / (units[i] ?? 1)));
}

function toModel(
  observations: readonly Observation[],
  columns: readonly number[],
  projection: readonly (readonly number[])[],
  width: number,
): LinearModel {
  const coefficients = new Array<number>(width).fill(0);
  const covariance = Array.from({ length: width }, () => new Array<number>(width).fill(0));
  columns.forEach((column, i) => {
    const row = projection[i] ?? [];
    coefficients[column] = observations.reduce((sum, o, n) => sum + at(row, n) * o.value, 0);
    columns.forEach((other, j) => {
      const target = covariance[column];
      if (target === undefined) return;
      target[other] = observations.reduce(
        (s, o, n) => s + at(row, n) * at(projection[j] ?? [], n) * o.standardError ** 2,
        0,
      );
    });
  });
  return { coefficients, covariance };
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

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * at(b, index), 0);
}

function at(row: readonly number[] | undefined, index: number): number {
  return row?.[index] ?? 0;
}
