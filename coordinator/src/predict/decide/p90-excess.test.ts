import assert from "node:assert/strict";
import { test } from "node:test";
import { createExcess, excessOf, noExcess } from "./p90-excess.ts";

test("each length has the excess that is typical of its graphs, of the samples read last", () => {
  const samples = { lengths: [16, 128, 16, 128, 16], excesses: Float64Array.of(0.5, 0.1, 0.3, 0.2, 0.9) };
  const read = createExcess(samples);
  const { lengths, values } = read();
  assert.deepEqual([...lengths], [16, 128]);
  assert.deepEqual([...values], [0.5, (0.1 + 0.2) / 2]);
  samples.excesses.fill(0);
  assert.deepEqual([...read().values], [0, 0]);
});

test("a prompt of one piece scatters as that length does, a long one as its pieces, and what wasn't timed not at all", () => {
  const excess = { lengths: [16, 64, 128], values: Float64Array.of(0.6, 0.2, 0.1) };
  const of = (...weights: number[]) => excessOf(excess, [16, 64, 128], weights);
  assert.equal(of(1, 0, 0), 0.6);
  assert.ok(Math.abs(of(0, 0.5, 0.5) - 0.15) < 1e-12);
  assert.equal(of(0, 0, 8), 0.1);
  assert.equal(excessOf(noExcess, [16, 64, 128], [1, 0, 0]), 0);
});
