import type { Pruning, Quantization, Recipe } from "@espalier/shared/contracts/recipe";
import { LevelGrid, type RolloutSpec } from "@espalier/shared/contracts/rollout-spec";

/** Widths stay multiples of the smallest quantization block, where kernels are fast. */
const alignment = 32;

/**
 * What is considered when a spec names no candidates. Small on purpose: the sensitivity job runs each of them.
 * - dense: the quality to beat.
 * - cfsp-rel with refit at 10 to 40 %: of the methods without gradients the one that loses least (docs of the methods).
 * - shortgpt with refit at 10 %: fewer layers save what narrower layers can't, per-layer overhead and KV cache. One level only:
 *   all layers that stay are solved again beside the dense model, the longest step of the job.
 */
const prunings: readonly Pruning[] = [
  { method: "none" },
  ...[0.1, 0.2, 0.3, 0.4].map((sparsity): Pruning => ({ method: "cfsp-rel", sparsity, alignment, refit: true })),
  { method: "shortgpt", sparsity: 0.1, refit: true },
];

/**
 * - 8 bits, block 128, symmetric: practically lossless, so fp32 would only cost memory and time.
 * - 4 bits, block 128, asymmetric, by GPTQ where the spec affords it: the better quality, speed and size at 4 bits. On two
 *   cores its calibration takes SmolLM2 minutes for every pruning, so by default weights are rounded.
 * - 4 bits, block 32, asymmetric: the better quality at 4 bits by rounding.
 * - 4 bits, block 128, asymmetric: faster and smaller than block 32, at some quality.
 * Accuracy level 4 everywhere: level 0 costs 40 % of the speed.
 */
const eightBits: Quantization = { method: "rtn", bits: 8, blockSize: 128, symmetric: true, accuracyLevel: 4 };
const fourBits: Record<LevelGrid["fourBits"], readonly Quantization[]> = {
  rtn: [
    { method: "rtn", bits: 4, blockSize: 32, symmetric: false, accuracyLevel: 4 },
    { method: "rtn", bits: 4, blockSize: 128, symmetric: false, accuracyLevel: 4 },
  ],
  gptq: [{ method: "gptq", bits: 4, blockSize: 128, symmetric: false, accuracyLevel: 4 }],
};

/** What a rollout considers. */
export function candidatesOf({ candidates, grid }: Pick<RolloutSpec, "candidates" | "grid">): readonly Recipe[] {
  return candidates ?? gridCandidates(grid ?? LevelGrid.parse({}));
}

function gridCandidates(grid: LevelGrid): Recipe[] {
  const cache = grid.kvCache === undefined ? {} : { kvCache: grid.kvCache };
  return prunings.flatMap((pruning) =>
    [eightBits, ...fourBits[grid.fourBits]].map(
      (quantization): Recipe => ({ schemaVersion: 1, pruning, quantization, ...cache }),
    ),
  );
}

export function defaultCandidates(): Recipe[] {
  return gridCandidates(LevelGrid.parse({}));
}
