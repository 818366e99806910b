import assert from "node:assert/strict";
import { test } from "node:test";
import { correctionsOf, factorBounds, factorsFor, type Observation } from "./corrections.ts";

const observe = (ratios: readonly number[], hardwareClass = "a", predicted = 20): Observation[] =>
  ratios.map((ratio) => ({ hardwareClass, quantity: "tpotMs", predicted, measured: predicted * ratio }));
const factor = (ratios: readonly number[]) => factorsFor(correctionsOf(observe(ratios)), "a").tpotMs;

/** The same by another road: geometric median raised to n / (n + 3). */
function reference(ratios: readonly number[]): number {
  const below = (r: number) => ratios.filter((other) => other < r).length;
  const sorted = [...ratios].sort((a, b) => below(a) - below(b));
  const n = sorted.length;
  const median = Math.sqrt(sorted[Math.ceil(n / 2) - 1]! * sorted[Math.floor(n / 2)]!);
  return Math.min(factorBounds.most, Math.max(factorBounds.least, median ** (n / (n + 3))));
}

test("the factor is the geometric median of the ratios, shrunk by how few they are", () => {
  for (const ratios of [[1.2], [1.1, 1.3], [0.8, 0.9, 1.4], [1.1, 1.2, 1.3, 1.25, 1.22, 0.7, 1.19]]) {
    assert.ok(Math.abs(factor(ratios) - reference(ratios)) < 1e-12, `${ratios}`);
  }
});

test("one odd device among several changes little", () => {
  assert.ok(Math.abs(factor([1.1, 1.1, 1.1, 1.1, 50]) - factor([1.1, 1.1, 1.1, 1.1, 1.1])) < 1e-12);
});

test("few devices correct less than many, and none correct nothing", () => {
  const many = Array.from({ length: 100 }, () => 1.3);
  assert.ok(factor([1.3]) < factor([1.3, 1.3, 1.3]));
  assert.ok(factor([1.3, 1.3, 1.3]) < factor(many) && factor(many) < 1.3);
  assert.deepEqual(correctionsOf([]), []);
  assert.deepEqual(factorsFor([], "a"), { tpotMs: 1, ttftMs: 1, peakMemoryBytes: 1 });
});

test("a factor is bounded, and says so", () => {
  for (const [ratio, bound] of [
    [9, factorBounds.most],
    [0.01, factorBounds.least],
  ] as const) {
    const [correction] = correctionsOf(observe(Array.from({ length: 30 }, () => ratio)));
    const quantity = correction!.quantities[0]!;
    assert.deepEqual([quantity.factor, quantity.bounded, quantity.devices], [bound, true, 30]);
  }
});

test("classes and quantities are corrected apart, in any order of observations alike", () => {
  const all = [
    ...observe([1.5, 1.4, 1.6], "b"),
    ...observe([0.9], "a"),
    { hardwareClass: "a", quantity: "ttftMs", predicted: 100, measured: 130 } as const,
  ];
  const corrections = correctionsOf(all);
  assert.deepEqual(correctionsOf([...all].reverse()), corrections);
  assert.deepEqual(
    corrections.map(({ hardwareClass, quantities }) => [hardwareClass, quantities.map(({ quantity }) => quantity)]),
    [
      ["a", ["tpotMs", "ttftMs"]],
      ["b", ["tpotMs"]],
    ],
  );
});
