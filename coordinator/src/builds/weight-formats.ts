import type { Recipe } from "@espalier/shared/contracts/recipe";
import { formatKey, type WeightFormat } from "@espalier/shared/contracts/shape";
import { defaultCandidates } from "../plan/decide/candidate-grid.ts";

/** The formats of a recipe's linear weights: one, or two where bits are mixed (the wide one symmetric, as built). */
export function linearFormats({ quantization }: Recipe): WeightFormat[] {
  if (quantization.method === "none") return [{ bits: 32, blockSize: 0, symmetric: true, accuracyLevel: 0 }];
  const { bits, blockSize, symmetric, accuracyLevel } = quantization;
  if (typeof bits === "number") return [{ bits, blockSize, symmetric, accuracyLevel }];
  return [
    { bits: 4, blockSize, symmetric, accuracyLevel },
    { bits: 8, blockSize, symmetric: true, accuracyLevel },
  ];
}

/** Each format once, in the order of first use. */
export function formatsOf(recipes: readonly Recipe[]): WeightFormat[] {
  return [...new Map(recipes.flatMap(linearFormats).map((format) => [formatKey(format), format])).values()];
}

/**
 * The formats that a kit for these candidates times: always those of the default grid too, so that rollouts with fewer
 * candidates share one kit and one measurement of every device.
 */
export function kitFormats(candidates: readonly Recipe[]): WeightFormat[] {
  return formatsOf([...defaultCandidates(), ...candidates]);
}
