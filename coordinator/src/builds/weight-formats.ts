import type { Recipe } from "@espalier/shared/contracts/recipe";
import { formatKey, type WeightFormat } from "@espalier/shared/contracts/shape";
import { defaultCandidates } from "../plan/decide/candidate-grid.ts";

/** The format of a recipe's linear weights. */
export function linearFormat({ quantization }: Recipe): WeightFormat {
  if (quantization.method === "none") return { bits: 32, blockSize: 0, symmetric: true, accuracyLevel: 0 };
  const { bits, blockSize, symmetric, accuracyLevel } = quantization;
  return { bits, blockSize, symmetric, accuracyLevel };
}

/** Each format once, in the order of first use. */
export function formatsOf(recipes: readonly Recipe[]): WeightFormat[] {
  return [...new Map(recipes.map((recipe) => [formatKey(linearFormat(recipe)), linearFormat(recipe)])).values()];
}

/**
 * The formats that a kit for these candidates times: always those of the default grid too, so that rollouts with fewer
 * candidates share one kit and one measurement of every device.
 */
export function kitFormats(candidates: readonly Recipe[]): WeightFormat[] {
  return formatsOf([...defaultCandidates(), ...candidates]);
}
