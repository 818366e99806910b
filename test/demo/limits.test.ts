import assert from "node:assert/strict";
import { test } from "node:test";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import { recipeName } from "@espalier/shared/contracts/recipe";
import { type CandidateCost, fourBitBudget, prunedLimitMs } from "./limits.ts";

const mebibyte = 1024 * 1024;

function cost(bits: 4 | 8, sparsity: number, tpotMs: number, memoryMiB: number, diskMiB: number): CandidateCost {
  const recipe: Recipe = {
    schemaVersion: 1,
    pruning: sparsity === 0 ? { method: "none" } : { method: "cfsp-rel", sparsity, alignment: 32, refit: true },
    quantization: { method: "rtn", bits, blockSize: 32, symmetric: false, accuracyLevel: 4 },
  };
  const peakMemoryBytes = memoryMiB * mebibyte;
  return { name: recipeName(recipe), recipe, tpotMs, peakMemoryBytes, diskBytes: diskMiB * mebibyte };
}

test("the budget of the second device parts the dense 4-bit from the 8-bit variant", () => {
  const costs = [cost(8, 0, 10, 300, 140), cost(4, 0, 9, 240, 90)];
  assert.deepEqual(fourBitBudget(costs), { memory: 270 * mebibyte });
});

test("where memory hardly differs the budget is one of disk", () => {
  const costs = [cost(8, 0, 1, 100.5, 2), cost(4, 0, 1, 100, 1)];
  assert.deepEqual(fourBitBudget(costs), { disk: 1.5 * mebibyte });
});

test("the third device's limit is broken by every dense variant and kept by a pruned one", () => {
  const costs = [cost(8, 0, 12, 300, 140), cost(4, 0, 10, 240, 90), cost(4, 0.3, 8, 220, 70)];
  const limit = prunedLimitMs(costs);
  assert.ok(costs.filter(({ recipe }) => recipe.pruning.method === "none").every(({ tpotMs }) => tpotMs > limit));
  assert.ok(costs.some(({ tpotMs }) => tpotMs <= limit));
});

test("where pruning gains little the limit is still one that the fastest variant keeps", () => {
  const costs = [cost(8, 0, 10, 300, 140), cost(4, 0, 10, 240, 90), cost(4, 0.4, 9.5, 220, 70)];
  assert.ok(prunedLimitMs(costs) >= 9.5);
});
