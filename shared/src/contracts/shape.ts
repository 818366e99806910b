import { z } from "zod";

/** How a group of weights is stored. `bits` 32 is plain fp32 (blockSize 0). */
export const WeightFormat = z.strictObject({
  bits: z.union([z.literal(4), z.literal(8), z.literal(32)]),
  blockSize: z.union([z.literal(0), z.literal(32), z.literal(64), z.literal(128), z.literal(256)]),
  symmetric: z.boolean(),
  accuracyLevel: z.union([z.literal(0), z.literal(4)]),
});
export type WeightFormat = z.infer<typeof WeightFormat>;

/** `q4b32a`-like key under which a measurement kit times a format. */
export function formatKey(format: WeightFormat): string {
  if (format.bits === 32) return "fp32";
  return `q${format.bits}b${format.blockSize}${format.symmetric ? "" : "a"}${format.accuracyLevel === 4 ? "" : "-l0"}`;
}

/** How keys and values may be cached where a device's kernels can; absent: as wide as those kernels keep them. */
export const KvCacheFormat = z.literal("int8");
export type KvCacheFormat = z.infer<typeof KvCacheFormat>;

/** What a variant's cost follows from: sizes per layer, formats and bytes, known before it is built. */
export const VariantShape = z.strictObject({
  hiddenSize: z.int().positive(),
  headSize: z.int().positive(),
  vocabularySize: z.int().positive(),
  contextLength: z.int().positive(),
  layers: z
    .array(z.strictObject({ heads: z.int().positive(), kvHeads: z.int().positive(), ffnSize: z.int().positive() }))
    .min(1)
    .max(1024),
  /** Of the layers' matrices, but for `exceptions`. */
  linearFormat: WeightFormat,
  /** Where bits are mixed, the matrices stored otherwise, all of them in one other format. */
  exceptions: z
    .array(
      z.strictObject({
        layer: z.int().nonnegative(),
        matrix: z.enum(["attention.qkv", "attention.output", "ffn.gate_up", "ffn.down"]),
        format: WeightFormat,
      }),
    )
    .min(1)
    .optional(),
  embeddingFormat: WeightFormat,
  kvCache: KvCacheFormat.optional(),
  /** The feed-forward layers have an up and a down projection and no gate; absent: all three. */
  ungatedFfn: z.literal(true).optional(),
  /** Parameters outside embedding and head. */
  nonEmbeddingParameters: z.int().positive(),
  /** Bytes of all weights as stored in external data. */
  weightBytes: z.int().positive(),
  /** Bytes of embedding and head among `weightBytes` (a tied pair counts once). */
  embeddingBytes: z.int().nonnegative(),
});
export type VariantShape = z.infer<typeof VariantShape>;
