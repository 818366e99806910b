import assert from "node:assert/strict";
import { test } from "node:test";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import { recipeName } from "@espalier/shared/contracts/recipe";
import { type CandidateCost, fourBitBudget, prunedLimits } from "./limits.ts";

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
  const costs = [cost(8, 0, 24, 300, 140), cost(4, 0, 20, 240, 90), cost(4, 0.3, 16, 220, 70)];
  const limits = prunedLimits(costs);
  assert.ok("tpotP90Ms" in limits);
  const keeps = ({ tpotMs }: CandidateCost) => tpotMs <= limits.tpotP90Ms;
  assert.ok(!costs.filter(({ recipe }) => recipe.pruning.method === "none").some(keeps));
  assert.ok(costs.some(keeps));
});

test("where pruning gains little the limit is still one that the fastest variant keeps", () => {
  const costs = [cost(8, 0, 20, 300, 140), cost(4, 0, 20, 240, 90), cost(4, 0.4, 19, 220, 70)];
  const limits = prunedLimits(costs);
  assert.ok("tpotP90Ms" in limits && limits.tpotP90Ms >= 19);
});

test("tokens shorter than the stalls of a CPU quota are limited by disk instead of time", () => {
  const costs = [cost(8, 0, 0.2, 100, 140), cost(4, 0, 0.2, 100, 90), cost(4, 0.3, 0.1, 100, 60)];
  assert.deepEqual(prunedLimits(costs), { diskBytes: Math.round(90 * 0.92 * mebibyte) });
});
