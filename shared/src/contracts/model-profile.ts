import { z } from "zod";
import { Digest } from "./digest.ts";
import { LayerProfile } from "./layer-profile.ts";

/** One part of a model that a token passes. */
export const ModelPart = z.strictObject({
  part: z.enum(["embedding", "attention", "ffn", "head"]),
  /** Null for embedding and head. */
  layer: z.int().nonnegative().nullable(),
  /** Of a tied pair, the head's are the embedding's and count there. */
  parameters: z.int().nonnegative(),
  /** Floating-point operations per generated token, 2 per multiply-add, at `contextTokens` in the cache. */
  flopsPerToken: z.number().nonnegative(),
  /** Bytes of weights that a generated token reads, in the device's format, or fp32 without one. */
  weightBytesPerToken: z.number().nonnegative(),
  /** Bytes that a token in the context takes in the KV cache. */
  cacheBytesPerToken: z.int().nonnegative(),
  /** Predicted for a generated token on the device; null without one. The head's has the fixed cost of a run in it. */
  predictedMs: z.number().nonnegative().nullable(),
  /** KL(dense || changed) in nats per token; null for what is neither removed nor rounded. */
  removed: z.strictObject({ kl: z.number(), klHalfWidth: z.number() }).nullable(),
  quantized: z.strictObject({ kl: z.number(), klHalfWidth: z.number() }).nullable(),
});
export type ModelPart = z.infer<typeof ModelPart>;

/** What `espalier model profile` shows: cost and sensitivity, part by part. */
export const ModelProfile = z.strictObject({
  schemaVersion: z.literal(1),
  modelName: z.string(),
  modelDigest: Digest,
  contextTokens: z.int().positive(),
  protocol: LayerProfile.shape.protocol,
  dense: LayerProfile.shape.dense,
  probeFormat: LayerProfile.shape.probeFormat,
  parts: z.array(ModelPart),
  /** Whose kit the times follow from; null when no device has measured this model's. */
  device: z
    .strictObject({
      name: z.string(),
      format: z.string(),
      /** Of one generated token, all parts together. */
      predictedMs: z.number().positive(),
      memoryBandwidthBytesPerSecond: z.number().positive().nullable(),
    })
    .nullable(),
  /** Where the bottleneck lies, in sentences with their numbers. */
  findings: z.array(z.string()),
});
export type ModelProfile = z.infer<typeof ModelProfile>;
