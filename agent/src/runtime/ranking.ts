/** Above this many wanted ids, sorting all of them is faster than keeping a sorted list of the best. */
const longestKeptList = 512;

/** Index of the greatest of `count` values from `offset`; the lowest index among equals. */
export function argmax(values: Float32Array, offset = 0, count = values.length - offset): number {
  let best = 0;
  let bestValue = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i += 1) {
    const value = values[offset + i] ?? Number.NEGATIVE_INFINITY;
    if (value > bestValue) {
      best = i;
      bestValue = value;
    }
  }
  return best;
}

/** Ids of the `count` greatest values, greatest first, the lower id among equals. */
export function greatest(values: Float32Array, count: number): number[] {
  if (count === 0) return [];
  if (count > longestKeptList) return [...values.keys()].sort(descending(values)).slice(0, count);
  const best: number[] = [];
  let least = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < values.length; id += 1) {
    const value = values[id] ?? Number.NEGATIVE_INFINITY;
    if (best.length === count && !(value > least)) continue;
    let place = best.length;
    while (place > 0 && (values[best[place - 1] ?? 0] ?? 0) < value) place -= 1;
    best.splice(place, 0, id);
    if (best.length > count) best.pop();
    least = values[best[best.length - 1] ?? 0] ?? 0;
  }
  return best;
}

/** Orders ids by value, greatest first, then by id. */
export function descending(values: Float32Array): (a: number, b: number) => number {
  return (a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b;
}
