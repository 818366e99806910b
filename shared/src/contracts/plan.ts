import { z } from "zod";
import { ClassCorrection } from "./correction.ts";
import { Digest } from "./digest.ts";
import { Quality } from "./quality.ts";
import { Recipe } from "./recipe.ts";
import { Limits } from "./rollout-spec.ts";

/** A predicted quantity. Nine of ten runs are expected within `value * (1 +- relativeUncertainty)`. */
export const Prediction = z.strictObject({
  value: z.number().nonnegative(),
  relativeUncertainty: z.number().nonnegative(),
});
export type Prediction = z.infer<typeof Prediction>;

/** Of a time, the prediction of a run's median. */
export const TimePrediction = Prediction.extend({
  /** How far the 90th percentile of a run's requests lies above their median; in plans made before, in the uncertainty. */
  p90Excess: z.number().nonnegative().default(0),
});
export type TimePrediction = z.infer<typeof TimePrediction>;

/** What limits are held against: nineteen of twenty runs stay below it, of a time with nine of ten requests. */
export function upperEndOf(prediction: Prediction | TimePrediction): number {
  const excess = "p90Excess" in prediction ? prediction.p90Excess : 0;
  return prediction.value * (1 + prediction.relativeUncertainty) * (1 + excess);
}

export const VariantPrediction = z.strictObject({
  tpotMs: TimePrediction,
  ttftMs: TimePrediction,
  peakMemoryBytes: Prediction,
  diskBytes: Prediction,
  downloadSeconds: Prediction.nullable(),
  /** Of the processors' packages per generated token, its prompt's share included; null without an energy counter. */
  joulesPerToken: Prediction.nullable().default(null),
  /** From opening the files to the end of the first run; null in plans made before it was predicted. */
  loadMs: Prediction.nullable().default(null),
});
export type VariantPrediction = z.infer<typeof VariantPrediction>;

const LimitName = z.enum([
  "tpotP90Ms",
  "ttftP90Ms",
  "peakMemoryBytes",
  "diskBytes",
  "downloadSeconds",
  "joulesPerToken",
]);

/** One limit that a variant breaks on a device by prediction. */
export const Violation = z.strictObject({
  limit: LimitName,
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
  /** Which correction its predictions have; empty in plans made before there were any. */
  hardwareClass: z.string().default(""),
  limits: Limits,
  choice: z.strictObject({ recipeDigest: Digest, variantName: z.string(), prediction: VariantPrediction }).nullable(),
  /** One sentence with numbers. */
  reason: z.string(),
  /** What it runs now. */
  active: z.strictObject({ artifactDigest: Digest, variantName: z.string() }).nullable().default(null),
  /**
   * On the wire for the chosen variant, at most: chunks shared with others are not subtracted, and what is not built yet
   * counts unpacked. 0 when it runs already.
   */
  downloadBytes: z.int().nonnegative().default(0),
  /** What to step down to, in this order, of what is built or is going to be; times and memory are upper ends. */
  ladder: z
    .array(
      z.strictObject({
        recipeDigest: Digest,
        variantName: z.string(),
        tpotP90Ms: z.number(),
        peakMemoryBytes: z.int(),
      }),
    )
    .default([]),
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

/** Built, or to be built, only so that devices can step down to it. */
export const PlannedFallback = PlannedVariant.extend({
  /** Devices that have nothing else to step down to. */
  neededBy: z.int().positive(),
  text: z.string(),
});
export type PlannedFallback = z.infer<typeof PlannedFallback>;

/** What a change of the spec would buy. */
export const PlanAlternative = z.strictObject({
  limit: z.union([LimitName, z.literal("maxVariants")]),
  /** How much looser: a share of every device's limit (0.1 is 10 %), or variants more. */
  by: z.number().positive(),
  devicesBetter: z.int().nonnegative(),
  devicesServedMore: z.int(),
  /** In total over the fleet; null where more devices are served, since then totals don't compare. */
  klSaved: z.number().nullable(),
  variants: z.array(z.string()),
  text: z.string(),
});
export type PlanAlternative = z.infer<typeof PlanAlternative>;

/**
 * What the plan costs, and what shipping one unpruned variant to every device would. Times and memory: means of upper ends over
 * the devices that have both.
 */
export const PlanCost = z.strictObject({
  /** Fallbacks among them. */
  variantsToBuild: z.array(z.string()),
  /** From builds of this model so far; null before the first. */
  buildSeconds: z.number().nullable(),
  /** At most, as `downloadBytes` of the devices; the same below. */
  downloadBytes: z.int().nonnegative(),
  /** Of the device that takes longest. */
  longestDownloadSeconds: z.number().nullable(),
  dense: z
    .strictObject({
      variantName: z.string(),
      /** Devices that it fits, of those planned. */
      fits: z.int().nonnegative(),
      downloadBytes: z.int().nonnegative(),
      compared: z.int().nonnegative(),
      tpotP90Ms: z.strictObject({ plan: z.number(), dense: z.number() }),
      peakMemoryBytes: z.strictObject({ plan: z.number(), dense: z.number() }),
      /** Over the devices that have energy counters too; null where none has. */
      joulesPerToken: z
        .strictObject({ compared: z.int().positive(), plan: z.number(), dense: z.number() })
        .nullable()
        .default(null),
    })
    .nullable(),
});
export type PlanCost = z.infer<typeof PlanCost>;

export const Plan = z.strictObject({
  schemaVersion: z.literal(1),
  modelDigest: Digest,
  modelName: z.string(),
  variants: z.array(PlannedVariant),
  /** Beside the variants. */
  fallbacks: z.array(PlannedFallback).default([]),
  devices: z.array(PlannedDevice),
  /** Names the state that the plan was made from: an apply with another one is refused. */
  checkIndex: z.string().default(""),
  /** Of the planned devices' classes: predictions have them in. */
  corrections: z.array(ClassCorrection).default([]),
  alternatives: z.array(PlanAlternative).default([]),
  cost: PlanCost.nullable().default(null),
  /** Quality of every candidate, chosen or not, best first. */
  frontier: z.array(PlannedVariant),
  /** Facts a reader must know to trust the plan, e.g. how far a bounded search may be from the best portfolio. */
  notes: z.array(z.string()),
});
export type Plan = z.infer<typeof Plan>;
