import type { GrammarBuilder, Part } from "./grammar.ts";

/** Code points in ascending ranges that don't touch, ends included. */
export type CodePoints = readonly (readonly [number, number])[];

const last = 0x10ffff;
const surrogates: CodePoints = [[0xd800, 0xdfff]];
/** What the letters behind a backslash stand for in JSON. */
const shortEscapes: readonly (readonly [number, string])[] = [
  [0x08, "b"],
  [0x09, "t"],
  [0x0a, "n"],
  [0x0c, "f"],
  [0x0d, "r"],
  [0x22, '"'],
  [0x5c, "\\"],
];
/** Those that JSON wants escaped. */
const escaped: CodePoints = [
  [0x00, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
];

export function union(...sets: readonly CodePoints[]): CodePoints {
  const merged: [number, number][] = [];
  for (const [low, high] of sets.flat().toSorted(([a], [b]) => a - b)) {
    const before = merged.at(-1);
    if (before !== undefined && low <= before[1] + 1) before[1] = Math.max(before[1], high);
    else merged.push([low, high]);
  }
  return merged;
}

export function complement(set: CodePoints): CodePoints {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [low, high] of union(set)) {
    if (low > next) gaps.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= last) gaps.push([next, last]);
  return gaps;
}

export function intersection(a: CodePoints, b: CodePoints): CodePoints {
  return complement(union(complement(a), complement(b)));
}

/** Those that a regular expression for one character matches, asked one by one up to `most`. */
export function matching(expression: RegExp, most: number): CodePoints {
  const found: [number, number][] = [];
  for (let point = 0; point <= most; point += 1) {
    if (!expression.test(String.fromCodePoint(point))) continue;
    const before = found.at(-1);
    if (before !== undefined && before[1] === point - 1) before[1] = point;
    else found.push([point, point]);
  }
  return found;
}

/** One of these characters as it stands in a JSON string: UTF-8, escaped only where it must be. Null where none can stand. */
export function jsonCharacter(builder: GrammarBuilder, set: CodePoints): Part | null {
  const plain = intersection(set, complement(union(surrogates, escaped)));
  const parts: Part[] = plain.flatMap(([low, high]) => utf8(low, high));
  for (const [low, high] of intersection(set, escaped))
    for (let point = low; point <= high; point += 1) parts.push(escapeOf(point));
  return parts.length === 0 ? null : builder.choice(...withoutTwins(parts));
}

function escapeOf(point: number): Part {
  const short = shortEscapes.find(([escapedPoint]) => escapedPoint === point);
  const text = short === undefined ? `\\u${point.toString(16).padStart(4, "0")}` : `\\${short[1]}`;
  return [...Buffer.from(text)].map((byte) => ({ bytes: [byte, byte] }));
}

/** Single bytes become one element with many ranges. */
function withoutTwins(parts: readonly Part[]): Part[] {
  const single: number[] = [];
  const others: Part[] = [];
  for (const part of parts) {
    const [only] = part;
    if (part.length === 1 && only !== undefined && "bytes" in only) single.push(...only.bytes);
    else others.push(part);
  }
  return single.length === 0 ? others : [[{ bytes: single }], ...others];
}

/** Sequences of byte ranges that spell exactly the code points from `low` to `high` (RFC 3629). */
function utf8(low: number, high: number): Part[] {
  for (const end of [0x7f, 0x7ff, 0xffff])
    if (low <= end && high > end) return [...utf8(low, end), ...utf8(end + 1, high)];
  for (const bits of [6, 12, 18]) {
    const mask = 2 ** bits - 1;
    if (low > 0x7f && low >> bits !== high >> bits) {
      if ((low & mask) !== 0) return [...utf8(low, low | mask), ...utf8((low | mask) + 1, high)];
      if ((high & mask) !== mask) return [...utf8(low, high - (high & mask) - 1), ...utf8(high - (high & mask), high)];
    }
  }
  const ends = Buffer.from(String.fromCodePoint(high));
  return [[...Buffer.from(String.fromCodePoint(low))].map((byte, at) => ({ bytes: [byte, ends[at] ?? byte] }))];
}
