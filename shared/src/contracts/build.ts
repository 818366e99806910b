import { z } from "zod";
import { Digest } from "./digest.ts";
import { Recipe } from "./recipe.ts";
import { KvCacheFormat, WeightFormat } from "./shape.ts";

const common = {
  schemaVersion: z.literal(1),
  /** `digestOfJson` of the job without `jobId`: the same work asked twice is one job. */
  jobId: Digest,
  modelDigest: Digest,
  requirements: z.strictObject({ memoryBytes: z.int().nonnegative(), gpu: z.boolean() }),
};
const evaluation = {
  evaluationDigest: Digest.nullable(),
  evaluationTokens: z.int().min(128).max(10_000_000),
  /** Tokens a window holds, at most the model's context. */
  sequenceLength: z.int().min(16).max(32_768),
  seed: z.int(),
};
const data = {
  ...evaluation,
  calibrationDigest: Digest.nullable(),
  /** Tokens of calibration text; about 16,000 where a person waits. */
  calibrationTokens: z.int().min(128).max(10_000_000),
};

/** What quality a searched recipe has at least: `agreement` at least `limit`, the others at most. */
export const Floor = z.strictObject({
  figure: z.enum(["agreement", "kl", "perplexity", "bitsPerByte"]),
  limit: z.number(),
});
export type Floor = z.infer<typeof Floor>;

/** What the coordinator asks of a builder. Models and datasets are named by the digest of their FileTree. */
export const BuildJob = z.discriminatedUnion("kind", [
  z.strictObject({ ...common, ...data, kind: z.literal("build"), recipe: Recipe }),
  z.strictObject({ ...common, ...data, kind: z.literal("sensitivity"), candidates: z.array(Recipe).min(1).max(200) }),
  z.strictObject({ ...common, ...evaluation, kind: z.literal("profile") }),
  /** The result is a `SensitivityReport` of the Pareto front of quality against bytes. */
  z.strictObject({
    ...common,
    ...data,
    kind: z.literal("search"),
    floor: Floor,
    /** Pruning methods by the names that `espalier-builder compare` takes, e.g. `cfsp-rel+refit`. */
    methods: z.array(z.string().min(1).max(40)).min(1).max(16),
    mostSparsity: z.number().min(0.05).max(0.7),
    /** FFN widths are multiples of this. */
    alignment: z.int().min(1).max(1024),
    /** That of every recipe. */
    kvCache: KvCacheFormat.optional(),
    /** Recipes judged. */
    trials: z.int().min(1).max(1000),
  }),
  z.strictObject({ ...common, kind: z.literal("kit"), formats: z.array(WeightFormat).min(1).max(16) }),
]);
export type BuildJob = z.infer<typeof BuildJob>;

/** What a builder says of a job, in order of `sequence` within an attempt. The last of an attempt has a terminal state. */
export const BuildProgress = z.strictObject({
  schemaVersion: z.literal(1),
  jobId: Digest,
  attempt: z.int().positive(),
  sequence: z.int().nonnegative(),
  builderId: z.string(),
  atMs: z.int(),
  state: z.enum(["running", "succeeded", "retrying", "dead"]),
  stage: z.string(),
  /** Share of the whole job done, 0..1. */
  fraction: z.number().min(0).max(1),
  message: z.string().max(4000),
  /** With `succeeded`: digest of the manifest, kit, sensitivity report (a search's too) or layer profile, whose bytes and chunks are in the inbox bucket. */
  resultDigest: Digest.nullable(),
});
export type BuildProgress = z.infer<typeof BuildProgress>;
