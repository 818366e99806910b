import { z } from "zod";
import { Digest } from "./digest.ts";
import { Protocol, Quality } from "./quality.ts";
import { Recipe } from "./recipe.ts";
import { VariantShape } from "./shape.ts";

/** What a stage cost. A counter that isn't there is null, never an estimate. */
export const StageCost = z.strictObject({
  seconds: z.number().nonnegative(),
  peakMemoryBytes: z.int().nonnegative().nullable(),
  energyJoules: z.number().nonnegative().nullable(),
  /** The stage came from the cache: `seconds` is what it cost then. */
  cached: z.boolean(),
});

/** Figures window by window and token by token, so that two variants are compared on the same text in pairs. */
export const PairedFigures = z.strictObject({
  /** Tokens that each window scores. */
  tokens: z.array(z.int().positive()),
  /** Summed over each window's tokens, in nats: negative log-likelihood of the text, and KL(dense || this). */
  nll: z.array(z.number()),
  kl: z.array(z.number()),
  /** A bit a token, in order, the lowest of a byte first, in base64: whether its most likely token is the dense model's. */
  agreeing: z.base64(),
});
export type PairedFigures = z.infer<typeof PairedFigures>;

/** One named slice of the evaluation text: the dense model, and the exported files against it. */
export const SliceQuality = z.strictObject({
  name: z.string(),
  tokens: z.int().positive(),
  dense: Quality,
  exported: Quality,
});
export type SliceQuality = z.infer<typeof SliceQuality>;

/** `report.json` of an artifact: the last row, `exported`, is of the files that ship, run by ONNX Runtime. */
export const EvaluationReport = z.strictObject({
  schemaVersion: z.literal(1),
  recipe: Recipe,
  requestedSparsity: z.number().min(0).max(1),
  achievedSparsity: z.number().min(0).max(1),
  dense: z.strictObject({ quality: Quality, protocol: Protocol, parameters: z.int().positive() }),
  stages: z.array(
    z.strictObject({
      stage: z.enum(["dense", "pruned", "quantized", "exported"]),
      quality: Quality.nullable(),
      protocol: Protocol.nullable(),
      parameters: z.int().positive(),
      sizeBytes: z.int().positive(),
    }),
  ),
  /** Of the exported files; null in reports of builders that didn't keep them. */
  paired: PairedFigures.nullable().default(null),
  /** By the `slice` of the evaluation dataset's lines; empty where they name none. */
  slices: z.array(SliceQuality).default([]),
  /** How the exported files continue pieces of the evaluation text: the likeliest tokens, by ONNX Runtime on the builder. */
  answers: z.array(z.strictObject({ prompt: z.string(), answer: z.string() })).default([]),
  costs: z.array(z.strictObject({ stage: z.string(), cost: StageCost })),
  /** Facts a reader must know to trust the figures, e.g. that calibration text was sampled from the model itself. */
  notes: z.array(z.string()),
});
export type EvaluationReport = z.infer<typeof EvaluationReport>;

/** One named slice of a sensitivity job's text: the dense model, and a candidate against it. */
export const SensitivitySlice = z.strictObject({
  name: z.string(),
  tokens: z.int().positive(),
  dense: Quality,
  quality: Quality,
  /** Half width of the 95 % confidence interval of ln(perplexity / the dense model's). */
  logPerplexityHalfWidth: z.number().nonnegative(),
});
export type SensitivitySlice = z.infer<typeof SensitivitySlice>;

/** Result of a sensitivity job: every candidate's quality before it is built, on the same few thousand tokens. */
export const SensitivityReport = z.strictObject({
  schemaVersion: z.literal(1),
  modelDigest: Digest,
  protocol: Protocol,
  dense: Quality,
  candidates: z.array(
    z.strictObject({
      recipe: Recipe,
      recipeDigest: Digest,
      shape: VariantShape,
      quality: Quality,
      /** By the `slice` of the evaluation dataset's lines; empty where they name none. */
      slices: z.array(SensitivitySlice).default([]),
      seconds: z.number(),
    }),
  ),
  /** Candidates that can't be built on this model, with the reason. */
  rejected: z.array(z.strictObject({ recipe: Recipe, reason: z.string() })),
});
export type SensitivityReport = z.infer<typeof SensitivityReport>;
