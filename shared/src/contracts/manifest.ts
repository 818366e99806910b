import { z } from "zod";
import { Digest } from "./digest.ts";
import { FileEntry, TreePath } from "./files.ts";
import { Recipe } from "./recipe.ts";
import { KvCacheFormat, VariantShape } from "./shape.ts";

/** A tensor in external data. `offset` in bytes from the start of `file`. */
export const TensorEntry = z.strictObject({
  name: z.string().min(1),
  dtype: z.enum(["float32", "uint8", "int64", "int32"]),
  shape: z.array(z.int().nonnegative()),
  file: TreePath,
  offset: z.int().nonnegative(),
  sizeBytes: z.int().nonnegative(),
});
export type TensorEntry = z.infer<typeof TensorEntry>;

/** The graph's calling convention (ARCHITECTURE.md, Graph). */
export const GraphContract = z.strictObject({
  file: TreePath,
  version: z.literal(1),
  opset: z.int().positive(),
  kvDtype: z.literal("float32"),
  contextLength: z.int().positive(),
  layers: z.array(z.strictObject({ kvHeads: z.int().positive(), headSize: z.int().positive() })),
  vocabularySize: z.int().positive(),
});
export type GraphContract = z.infer<typeof GraphContract>;

/** `manifest.json`: its bytes' digest is the artifact's digest. It lists every other file of the artifact. */
export const Manifest = z.strictObject({
  schemaVersion: z.literal(1),
  kind: z.literal("variant"),
  /** `recipeName`, for people. */
  name: z.string(),
  modelName: z.string(),
  recipe: Recipe,
  recipeDigest: Digest,
  lineage: z.strictObject({
    modelDigest: Digest,
    calibrationDigest: Digest.nullable(),
    evaluationDigest: Digest.nullable(),
    builderVersion: z.string(),
    seed: z.int(),
  }),
  shape: VariantShape,
  graph: GraphContract,
  /** The artifact holds the scales for such a cache (`KvCacheScales`), which a runtime without kernels for it ignores. */
  kvCache: KvCacheFormat.optional(),
  tensors: z.array(TensorEntry),
  files: z.array(FileEntry),
  /** Sum of `files`, without the manifest itself. */
  totalBytes: z.int().positive(),
  runtime: z.strictObject({ onnxruntime: z.string(), executionProviders: z.array(z.string()) }),
});
export type Manifest = z.infer<typeof Manifest>;

/** File names inside an artifact. */
export const artifactFiles = {
  manifest: "manifest.json",
  graph: "model.onnx",
  weights: "model.onnx.data",
  tokenizer: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  chat: "chat.json",
  probe: "probe.json",
  report: "report.json",
  kvCache: "kv-cache.json",
} as const;

const scalesOfHeads = z.array(z.array(z.number().positive()).min(1)).min(1);

/**
 * `kv-cache.json`: scales for a KV cache of int8, by layer, key/value head and channel of the head. A value is
 * code x scale, codes -127..127; keys as they lie in GroupQueryAttention's cache (after the rotary positions).
 */
export const KvCacheScales = z.strictObject({
  format: KvCacheFormat,
  layers: z.array(z.strictObject({ keyScales: scalesOfHeads, valueScales: scalesOfHeads })).min(1),
});
export type KvCacheScales = z.infer<typeof KvCacheScales>;

/** `chat.json`: what generation needs besides the tokenizer. */
export const ChatConfig = z.strictObject({
  schemaVersion: z.literal(1),
  /** Jinja source, null for a model without chat. */
  chatTemplate: z.string().nullable(),
  bosTokenId: z.int().nullable(),
  eosTokenIds: z.array(z.int()),
  /** Whether the tokenizer puts BOS before a plain prompt. */
  addBosToken: z.boolean(),
  /** Rendered as bos_token and eos_token inside the template. */
  bosToken: z.string().nullable(),
  eosToken: z.string().nullable(),
  contextLength: z.int().positive(),
});
export type ChatConfig = z.infer<typeof ChatConfig>;

/**
 * `probe.json`: how a device proves that it runs the variant as the builder did.
 * `firstLogits`: logits of the last position after a prefill of `tokens`, at `indices` (top 32 and 32 spread ones).
 * `prompts`: teacher-forced; `denseTop1[i]` and `variantTop1[i]` are the most likely token after `tokens[0..i]`.
 */
export const Probe = z.strictObject({
  schemaVersion: z.literal(1),
  firstLogits: z.strictObject({
    tokens: z.array(z.int()).min(1),
    indices: z.array(z.int()).min(1),
    values: z.array(z.number()),
    /** Least cosine between recorded and own values that a faithful run reaches. */
    minCosine: z.number().min(0).max(1),
  }),
  prompts: z
    .array(
      z.strictObject({
        tokens: z.array(z.int()).min(2),
        denseTop1: z.array(z.int()),
        variantTop1: z.array(z.int()),
        /** Positions at which another kernel's rounding doesn't turn the variant's choice. Absent: all of them. */
        decisive: z.array(z.int().nonnegative()).optional(),
      }),
    )
    .min(1),
  /** Least share of decisive positions at which the device must choose the builder's token. */
  minAgreementWithBuilder: z.number().min(0).max(1),
});
export type Probe = z.infer<typeof Probe>;
