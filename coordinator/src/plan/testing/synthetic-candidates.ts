import type { Quality } from "@espalier/shared/contracts/quality";
import { type Recipe, recipeDigest, recipeName } from "@espalier/shared/contracts/recipe";
import { formats, shapeOf } from "../../predict/testing/synthetic-device.ts";
import type { Candidate } from "../decide/candidate.ts";
import { defaultCandidates } from "../decide/candidate-grid.ts";

export const denseQuality: Quality = { perplexity: 20, bitsPerByte: 1, agreement: 1, kl: 0, klHalfWidth: 0 };

/** A quality that follows from the KL as it would on a real model: more KL, more perplexity, less agreement. */
export function qualityOf(kl: number): Quality {
  return {
    perplexity: 20 * Math.exp(kl),
    bitsPerByte: 1 + kl,
    agreement: Math.max(0, 1 - kl / 2),
    kl,
    klHalfWidth: kl / 10,
  };
}

/** The default grid for a model of 30 layers and FFN size 1536; quality falls with sparsity and bits. */
export function syntheticCandidates(): Candidate[] {
  return defaultCandidates().map((recipe) => candidateOf(recipe, qualityOf(syntheticKl(recipe))));
}

export function candidateOf(recipe: Recipe, quality: Quality): Candidate {
  return {
    recipe,
    recipeDigest: recipeDigest(recipe),
    name: recipeName(recipe),
    shape: shapeFor(recipe),
    quality,
    qualitySource: "sensitivity",
    dense: denseQuality,
    slices: [],
    artifact: null,
  };
}

function syntheticKl({ pruning, quantization }: Recipe): number {
  const bits =
    quantization.method === "none" ? 0 : quantization.bits === 8 ? 0.001 : quantization.blockSize === 32 ? 0.2 : 0.3;
  const sparsity = pruning.method === "none" ? 0 : pruning.sparsity * (pruning.method === "shortgpt" ? 4 : 2.5);
  return bits + sparsity;
}

function shapeFor({ pruning, quantization }: Recipe) {
  const format =
    quantization.method === "none" || quantization.bits === 8
      ? formats.q8b128
      : quantization.blockSize === 32
        ? formats.q4b32a
        : formats.q4b128a;
  if (pruning.method === "none") return shapeOf(format, 30, 1536);
  if (pruning.method === "shortgpt") return shapeOf(format, Math.round(30 * (1 - pruning.sparsity)), 1536);
  return shapeOf(format, 30, Math.round((1536 * (1 - 1.33 * pruning.sparsity)) / 32) * 32);
}
