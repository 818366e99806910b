/** One measured value; `standardError` is in the unit of `value`. */
export interface Measured {
  value: number;
  standardError: number;
}

/** Which observations explain a value by which features. Many devices time the same graphs, so what follows from it is kept. */
export interface Design {
  features: number;
  observations: number;
  /**
   * `P [features, observations]` such that `P * values` are the coefficients of least squares when only the features whose bits
   * are set in `mask` may be non-zero; null where the observations don't determine them.
   */
  projection(mask: number): Projection | null;
  /** `[observations]`: an observation's residual counts divided by it. */
  scales: readonly number[];
  rows: readonly (readonly number[])[];
}

type Projection = readonly (readonly number[])[];

/** `value = sum(coefficients[i] * features[i])`; the errors of the measured values become the estimate's by `projection`. */
export interface LinearModel {
  coefficients: readonly number[];
  projection: Projection;
  /** Standard errors of the measured values. */
  errors: readonly number[];
}

/**
 * Residuals count relative to the size of an observation's features, so that small graphs say as much as big ones.
 * @param rows features of each observation; equal in number
 */
export function designOf(rows: readonly (readonly number[])[]): Design {
  const features = rows[0]?.length ?? 0;
  const units = Array.from({ length: features }, (_, i) => Math.max(...rows.map((row) => Math.abs(row[i] ?? 0))));
  const scales = rows.map((row) => Math.max(...row.map((value, i) => Math.abs(value) / (units[i] || 1))));
  const known = new Map<number, Projection | null>();
  return {
    features,
    observations: rows.length,
    scales,
    rows,
    projection(mask) {
      const before = known.get(mask);
      if (before !== undefined) return before;
      const made = project(rows, units, scales, mask);
      known.set(mask, made);
      return made;
    },
  };
}

/**
 * Weighted least squares with coefficients that can't be negative (a cost never is). With at most a handful of features,
 * every set of non-zero coefficients is tried and the feasible one of least residual wins, which is exact (Lawson and
 * Hanson's problem).
 *
 * @param measured one value for each observation of the design
 * @returns null when the observations don't determine the coefficients (fewer independent ones than features)
 */
export function fitNonNegative(design: Design, measured: readonly Measured[]): LinearModel | null {
  const all = (1 << design.features) - 1;
  if (all === 0 || design.projection(all) === null) return null;
  const errors = measured.map(({ standardError }) => standardError);
  let best: LinearModel | null = null;
  let least = Infinity;
  for (let mask = all; mask > 0; mask--) {
    const projection = design.projection(mask);
    const coefficients = projection?.map((row) => dotValues(row, measured));
    if (!projection || coefficients === undefined || coefficients.some((coefficient) => coefficient < 0)) continue;
    const model = { coefficients, projection, errors };
    // Nothing negative without the constraint: no other set can have less residual.
    if (mask === all) return model;
    const residual = measured.reduce((sum, { value }, n) => {
      const error = (dot(coefficients, design.rows[n] ?? []) - value) / (design.scales[n] ?? 1);
      return sum + error * error;
    }, 0);
    if (residual < least * (1 - 1e-12)) {
      best = model;
      least = residual;
    }
  }
  return best;
}

export function estimate({ coefficients, projection, errors }: LinearModel, features: readonly number[]): Measured {
  let variance = 0;
  for (let n = 0; n < errors.length; n++) {
    let weight = 0;
    for (let i = 0; i < features.length; i++) weight += (features[i] ?? 0) * (projection[i]?.[n] ?? 0);
    variance += (weight * (errors[n] ?? 0)) ** 2;
  }
  return { value: dot(coefficients, features), standardError: Math.sqrt(variance) };
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
  return units.map((unit, column) => {
    const i = columns.indexOf(column);
    return scaled.map((row, n) => (i === -1 ? 0 : dot(inverse[i] ?? [], row) / at(scales, n) / unit));
  });
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
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

function dotValues(row: readonly number[], measured: readonly Measured[]): number {
  let sum = 0;
  for (let n = 0; n < row.length; n++) sum += (row[n] ?? 0) * (measured[n]?.value ?? 0);
  return sum;
}

function at(row: readonly number[] | undefined, index: number): number {
  return row?.[index] ?? 0;
}
