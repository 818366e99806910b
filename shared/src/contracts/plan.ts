import { z } from "zod";
import { Digest } from "./digest.ts";
import { Quality } from "./quality.ts";
import { Recipe } from "./recipe.ts";
import { Limits } from "./rollout-spec.ts";

/** A predicted quantity. The truth is expected within `value * (1 +- relativeUncertainty)`. */
export const Prediction = z.strictObject({
  value: z.number().nonnegative(),
  relativeUncertainty: z.number().nonnegative(),
});
export type Prediction = z.infer<typeof Prediction>;

export const VariantPrediction = z.strictObject({
  tpotMs: Prediction,
  ttftMs: Prediction,
  peakMemoryBytes: Prediction,
  diskBytes: Prediction,
  downloadSeconds: Prediction.nullable(),
});
export type VariantPrediction = z.infer<typeof VariantPrediction>;

/** One limit that a variant breaks on a device by prediction. */
export const Violation = z.strictObject({
  limit: z.enum(["tpotP90Ms", "ttftP90Ms", "peakMemoryBytes", "diskBytes"]),
  /** `objective` of the rollout or `budget` of the owner. */
  origin: z.enum(["objective", "budget"]),
  allowed: z.number(),
  /** Upper end of the prediction. */
  predicted: z.number(),
});
export type Violation = z.infer<typeof Violation>;

export const PlannedDevice = z.strictObject({
  deviceId: z.string(),
  name: z.string(),
  deviceClass: z.string(),
  limits: Limits,
  choice: z.strictObject({ recipeDigest: Digest, variantName: z.string(), prediction: VariantPrediction }).nullable(),
  /** One sentence with numbers. */
  reason: z.string(),
  /** Better variants that were ruled out, best first, and why. */
  ruledOut: z.array(z.strictObject({ variantName: z.string(), violations: z.array(Violation).min(1) })),
});
export type PlannedDevice = z.infer<typeof PlannedDevice>;

export const PlannedVariant = z.strictObject({
  recipe: Recipe,
  recipeDigest: Digest,
  name: z.string(),
  quality: Quality,
  /** `report` of the built artifact, or the `sensitivity` job. */
  qualitySource: z.enum(["sensitivity", "report"]),
  artifactDigest: Digest.nullable(),
  weightBytes: z.int(),
  devices: z.int().nonnegative(),
});
export type PlannedVariant = z.infer<typeof PlannedVariant>;

export const Plan = z.strictObject({
  schemaVersion: z.literal(1),
  modelDigest: Digest,
  modelName: z.string(),
  variants: z.array(PlannedVariant),
  devices: z.array(PlannedDevice),
  /** Quality of every candidate, chosen or not, best first. */
  frontier: z.array(PlannedVariant),
  /** Facts a reader must know to trust the plan, e.g. how far a bounded search may be from the best portfolio. */
  notes: z.array(z.string()),
});
export type Plan = z.infer<typeof Plan>;
