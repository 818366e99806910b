import { z } from "zod";
import { Recipe } from "./recipe.ts";
import { KvCacheFormat } from "./shape.ts";

/** What a device must keep to. Times are 90th percentiles; an absent limit limits nothing. The owner's budget always applies as well. */
export const Limits = z.strictObject({
  tpotP90Ms: z.number().positive().optional(),
  ttftP90Ms: z.number().positive().optional(),
  peakMemoryBytes: z.int().positive().optional(),
  diskBytes: z.int().positive().optional(),
  /** Of the whole artifact at the measured rate. */
  downloadSeconds: z.number().positive().optional(),
  /** Mean of the processors' packages per generated token; says nothing of devices without an energy counter. */
  joulesPerToken: z.number().positive().optional(),
});
export type Limits = z.infer<typeof Limits>;

/** A label selector: comma-separated `key=value` and `key!=value`, all of which must hold. Empty selects everything. */
export const Selector = z
  .string()
  .regex(/^$|^[\w./-]+!?=[\w./-]*(,[\w./-]+!?=[\w./-]*)*$/, "expected key=value[,key!=value...]");

const qualityParts = {
  /** Exported perplexity over dense perplexity. */
  maxPerplexityRatio: z.number().min(1).optional(),
  minAgreement: z.number().min(0).max(1).optional(),
  maxKl: z.number().positive().optional(),
};

/** Of the whole evaluation text, and of its slices by name: a variant that keeps the mean may still fail on code. */
export const QualityFloor = z.strictObject({
  ...qualityParts,
  slices: z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/), z.strictObject(qualityParts)).optional(),
});
export type QualityFloor = z.infer<typeof QualityFloor>;

/** The grid of levels that is considered where a spec names no candidates. */
export const LevelGrid = z.strictObject({
  /** Who chooses the codes at 4 bits: `rtn` in seconds, `gptq` far better, on a CPU in minutes a pruning. */
  fourBits: z.enum(["rtn", "gptq"]).default("rtn"),
  /** Scales for a KV cache of int8 with every level. */
  kvCache: KvCacheFormat.optional(),
});
export type LevelGrid = z.infer<typeof LevelGrid>;

const RolloutFields = z.strictObject({
  schemaVersion: z.literal(1).default(1),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "expected lower-case letters, digits and dashes"),
  /** Model, calibration and evaluation by imported name or digest. Without text, text sampled from the model serves. */
  model: z.string().min(1),
  calibration: z.string().min(1).optional(),
  evaluation: z.string().min(1).optional(),
  selector: Selector.default(""),
  limits: Limits.prefault({}),
  /** Prompt and output lengths that times refer to. */
  promptTokens: z.int().min(8).max(4096).default(64),
  outputTokens: z.int().min(4).max(1024).default(24),
  /** Later entries win, limit by limit. */
  overrides: z
    .array(z.strictObject({ selector: Selector, limits: Limits }))
    .max(100)
    .default([]),
  qualityFloor: QualityFloor.prefault({}),
  maxVariants: z.int().min(1).max(16).default(4),
  /** Beside these, the fewest smaller ones by which every device has something built to step down to. */
  buildFallbacks: z.boolean().default(true),
  /** Absent: those of `grid`. */
  candidates: z.array(Recipe).min(1).max(200).optional(),
  grid: LevelGrid.optional(),
  canaryShare: z.number().min(0).max(1).default(0.1),
  gates: z
    .strictObject({
      /** Failed devices beyond this share of a wave fail it. */
      maxFailureShare: z.number().min(0).max(1).default(0),
      /** More devices of a wave that only run a smaller variant of their ladder, since the chosen one failed, are inconclusive. */
      maxStepDownShare: z.number().min(0).max(1).default(0.5),
      /** Measured time per output token further than this from the prediction is inconclusive. */
      maxPredictionError: z.number().positive().default(0.5),
      /** Limits on times are raised by this share before requests are held against them. */
      latencyMargin: z.number().min(0).max(1).default(0),
      /** Of the probe's decisive positions, those which another kernel's rounding doesn't turn. */
      minProbeAgreement: z.number().min(0).max(1).default(0.95),
      /** A device that reached no end by then counts as offline and frees its slot. */
      deviceDeadlineSeconds: z.int().min(10).max(86_400).default(900),
    })
    .prefault({}),
  build: z
    .strictObject({
      calibrationTokens: z.int().min(128).max(10_000_000).default(16_384),
      sensitivityTokens: z.int().min(128).max(1_000_000).default(2_048),
      evaluationTokens: z.int().min(128).max(10_000_000).default(8_192),
      sequenceLength: z.int().min(16).max(32_768).default(512),
      seed: z.int().default(0),
    })
    .prefault({}),
});
/** What an operator asks for: one model, fitted to every selected device. */
export const RolloutSpec = RolloutFields.refine(
  ({ candidates, grid }) => candidates === undefined || grid === undefined,
  {
    path: ["grid"],
    message: "expected either candidates or a grid",
  },
);
export type RolloutSpec = z.infer<typeof RolloutSpec>;
export type RolloutSpecInput = z.input<typeof RolloutSpec>;
