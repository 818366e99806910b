import assert from "node:assert/strict";
import { test } from "node:test";
import { pairsWithEarlierPieces } from "./attention-cost.ts";
import { decodeWeights, prefillWeights } from "./length-weights.ts";

/** The cost of each measured length, summed by the weights. */
const cost = ({ weights }: { weights: readonly number[] }, costs: readonly number[]) =>
  weights.reduce((sum, weight, i) => sum + weight * costs[i]!, 0);

test("between measured lengths a cost is interpolated", () => {
  assert.equal(cost(decodeWeights([64, 256], [160], true), [10, 20]), 15);
  assert.equal(cost(decodeWeights([64, 256], [112, 208], true), [10, 20]), 15);
});

test("below the first length attention has less to do, or the cost is the first's", () => {
  const known = decodeWeights([64, 256], [24, 64], true);
  assert.deepEqual([cost(known, [10, 20]), known.attention], [10, -20]);
  const unknown = decodeWeights([64, 256], [24, 64], false);
  assert.deepEqual([cost(unknown, [10, 20]), unknown.attention], [10, 0]);
});

test("beyond the last length tokens are counted for attention, or the last slope goes on", () => {
  const known = decodeWeights([64, 256], [256, 456], true);
  assert.deepEqual([cost(known, [10, 20]), known.attention], [20, 100]);
  const unknown = decodeWeights([64, 256], [448], false);
  assert.deepEqual([cost(unknown, [10, 20]), unknown.attention], [30, 0]);
});

test("a long prompt is whole pieces, the rest, and pairs of tokens over earlier pieces", () => {
  const weights = prefillWeights([16, 64, 128], 128 * 3 + 64);
  assert.equal(cost(weights, [1, 4, 9]), 3 * 9 + 4);
  assert.equal(weights.attention, 128 * 128 + 256 * 128 + 384 * 64);
  assert.equal(cost(prefillWeights([16, 64, 128], 96), [1, 4, 9]), 6.5);
});

test("pairs with earlier pieces are those of an attention matrix without its diagonal blocks", () => {
  for (const [prompt, piece] of [
    [10, 3],
    [128, 128],
    [300, 128],
  ] as const) {
    let pairs = 0;
    for (let row = 0; row < prompt; row++)
      for (let column = 0; column < row; column++) if (Math.floor(row / piece) !== Math.floor(column / piece)) pairs++;
    assert.equal(pairsWithEarlierPieces(prompt, piece), pairs);
  }
});
