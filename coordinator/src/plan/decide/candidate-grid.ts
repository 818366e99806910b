import type { Pruning, Quantization, Recipe } from "@espalier/shared/contracts/recipe";

/** Widths stay multiples of the smallest quantization block, where kernels are fast. */
const alignment = 32;

/**
 * What is considered when a spec names no candidates. Small on purpose: the sensitivity job runs each of them.
 * - dense: the quality to beat.
 * - cfsp-rel with refit at 10 to 40 %: of the methods without gradients the one that loses least (docs of the methods).
 * - tail at 10 and 20 %: fewer layers save what narrower layers can't, per-layer overhead and KV cache.
 */
const prunings: readonly Pruning[] = [
  { method: "none" },
  ...[0.1, 0.2, 0.3, 0.4].map((sparsity): Pruning => ({ method: "cfsp-rel", sparsity, alignment, refit: true })),
  ...[0.1, 0.2].map((sparsity): Pruning => ({ method: "tail", sparsity })),
];

/**
 * - 8 bits, block 128, symmetric: practically lossless, so fp32 would only cost memory and time.
 * - 4 bits, block 32, asymmetric: the better quality at 4 bits.
 * - 4 bits, block 128, asymmetric: faster and smaller than block 32, at some quality.
 * Accuracy level 4 everywhere: level 0 costs 40 % of the speed.
 */
const quantizations: readonly Quantization[] = [
  { method: "rtn", bits: 8, blockSize: 128, symmetric: true, accuracyLevel: 4 },
  { method: "rtn", bits: 4, blockSize: 32, symmetric: false, accuracyLevel: 4 },
  { method: "rtn", bits: 4, blockSize: 128, symmetric: false, accuracyLevel: 4 },
];

export function defaultCandidates(): Recipe[] {
  return prunings.flatMap((pruning) =>
    quantizations.map((quantization): Recipe => ({ schemaVersion: 1, pruning, quantization })),
  );
}
