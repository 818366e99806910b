/** Of values that it reorders, at least one: a fleet has many, and sorting them would take longer. */
export function medianOf(values: Float64Array): number {
  const middle = values.length >> 1;
  moveToPlace(values, middle);
  const upper = values[middle] ?? 0;
  if (values.length % 2 === 1) return upper;
  let lower = values[0] ?? 0;
  for (let n = 1; n < middle; n++) lower = Math.max(lower, values[n] ?? lower);
  return (upper + lower) / 2;
}

/** Reorders the values so that the one that sorting would put at `place` is there, and none before it is greater (Hoare 1961). */
function moveToPlace(values: Float64Array, place: number): void {
  let from = 0;
  let to = values.length - 1;
  while (from < to) {
    const pivot = values[(from + to) >> 1] ?? 0;
    let i = from;
    let j = to;
    while (i <= j) {
      while ((values[i] ?? pivot) < pivot) i++;
      while ((values[j] ?? pivot) > pivot) j--;
      if (i > j) break;
      const value = values[i] ?? 0;
      values[i++] = values[j] ?? 0;
      values[j--] = value;
    }
    if (place <= j) to = j;
    else if (place >= i) from = i;
    else return;
  }
}
