import type { Pruning, Quantization, Recipe } from "@espalier/shared/contracts/recipe";

function format(bits: 4 | 8, blockSize: 32 | 128, symmetric: boolean): Quantization {
  return { method: "rtn", bits, blockSize, symmetric, accuracyLevel: 4 };
}
const [q8, q4, q4Small] = [format(8, 128, true), format(4, 128, false), format(4, 32, false)];
const dense: Pruning = { method: "none" };
const narrow: Pruning = { method: "cfsp-rel", sparsity: 0.2, alignment: 32, refit: false };
const masked = (pattern: "free" | "2:4"): Pruning => ({ method: "sparsegpt", sparsity: 0.5, pattern });

/** Levels whose bytes are told, and of those of one format what zeros do to the time of decoding. */
export const recipes: readonly Recipe[] = (
  [
    [dense, q8],
    [masked("free"), q8],
    [masked("2:4"), q8],
    [dense, q4],
    [dense, q4Small],
    [narrow, q4],
    [masked("free"), q4],
    [masked("2:4"), q4],
  ] as const
).map(([pruning, quantization]) => ({ schemaVersion: 1, pruning, quantization }));
