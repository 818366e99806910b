import { z } from "zod";
import { type Digest, digestOfJson } from "./digest.ts";
import { KvCacheFormat } from "./shape.ts";

/**
 * How much to remove and by what rule. `sparsity` is the fraction of all non-embedding parameters removed, the same
 * for every method, so that levels compare.
 */
export const Pruning = z.discriminatedUnion("method", [
  z.strictObject({ method: z.literal("none") }),
  z.strictObject({
    method: z.enum(["random", "magnitude", "cfsp", "cfsp-rel", "minillm", "minillm-gate", "flap"]),
    sparsity: z.number().min(0.01).max(0.7),
    /** FFN widths are multiples of this. */
    alignment: z.int().min(1).max(1024),
    /**
     * Closed-form recovery of what lost inputs, on calibration statistics: `true` solves layer after layer on what the
     * pruned layers before give, `one-pass` each by itself on what the dense layers give.
     */
    refit: z.union([z.boolean(), z.literal("one-pass")]),
  }),
  /** Neurons chosen by Optimal Brain Surgeon while each layer is refitted, on the pruned stream. */
  z.strictObject({
    method: z.literal("obs"),
    sparsity: z.number().min(0.01).max(0.7),
    alignment: z.int().min(1).max(1024),
  }),
  /**
   * Single weights become zero: bytes, not speed. `sparsity` is also the share of every matrix. `pattern` N:M, with
   * sparsity 0.5: N of every M consecutive inputs of an output.
   */
  z.strictObject({
    method: z.enum([
      "mask-magnitude",
      "mask-magnitude-global",
      "wanda",
      "sparsegpt",
      "barber-magnitude",
      "barber-wanda",
      "barber-sparsegpt",
    ]),
    sparsity: z.number().min(0.01).max(0.9),
    pattern: z.enum(["free", "2:4", "4:8"]),
  }),
  /**
   * Whole layers: the last ones, those of least block influence, or the block that turns the last token least. With
   * `refit` the layers that stay are solved again for the dense model's stream, layer after layer.
   */
  z.strictObject({
    method: z.enum(["tail", "shortgpt", "angular"]),
    sparsity: z.number().min(0.01).max(0.7),
    refit: z.literal(true).optional(),
  }),
]);
export type Pruning = z.infer<typeof Pruning>;

/**
 * How the linear weights are stored, and who chooses their codes: `rtn` rounds each weight by itself, `gptq` looks at
 * calibration text, `qat` trains what `gptq` chose towards the dense model. `awq` and `smoothquant` fold scales of the
 * inputs into what makes them before they round, `awq-gptq` before GPTQ chooses. Embedding and head are rounded to 8 bits.
 */
export const Quantization = z.discriminatedUnion("method", [
  z.strictObject({ method: z.literal("none") }),
  z.strictObject({
    method: z.enum(["rtn", "gptq", "awq", "awq-gptq", "smoothquant", "qat"]),
    /** `mixed`: 4 or 8 of each matrix by how much the output needs it, in bytes no more than so many bits everywhere. */
    bits: z.union([z.literal(4), z.literal(8), z.strictObject({ mixed: z.number().gt(4).lt(8) })]),
    blockSize: z.union([z.literal(32), z.literal(64), z.literal(128), z.literal(256)]),
    symmetric: z.boolean(),
    /** MatMulNBits accuracy level: 0 keeps activations in fp32, 4 quantizes them to int8 (fast). */
    accuracyLevel: z.union([z.literal(0), z.literal(4)]),
  }),
]);
export type Quantization = z.infer<typeof Quantization>;

/** A level: pruning, then recovery (refit belongs to pruning), then quantization. */
export const Recipe = z.strictObject({
  schemaVersion: z.literal(1),
  pruning: Pruning,
  quantization: Quantization,
  /** Scales for a KV cache of int8 are calibrated, and the level is judged with its keys and values so rounded. */
  kvCache: KvCacheFormat.optional(),
});
export type Recipe = z.infer<typeof Recipe>;

export function recipeDigest(recipe: Recipe): Digest {
  return digestOfJson(recipe);
}

/** A short name for people, unique per recipe: `dense-q8b128`, `cfsp-rel-refit-20-gptq-q4b128a`, `tail-10-fp32-kv8`. */
export function recipeName({ pruning, quantization, kvCache }: Recipe): string {
  return `${pruningName(pruning)}-${quantizationName(quantization)}${kvCache === undefined ? "" : "-kv8"}`;
}

function pruningName(pruning: Pruning): string {
  if (pruning.method === "none") return "dense";
  const percent = Number((pruning.sparsity * 100).toFixed(2));
  if ("pattern" in pruning) {
    const pattern = pruning.pattern === "free" ? "" : `-${pruning.pattern.replace(":", "of")}`;
    return `${pruning.method}-${percent}${pattern}`;
  }
  const alignment = "alignment" in pruning && pruning.alignment !== 32 ? `-a${pruning.alignment}` : "";
  return `${pruning.method}${"refit" in pruning ? refitName(pruning.refit) : ""}-${percent}${alignment}`;
}

function refitName(refit: boolean | "one-pass" | undefined): string {
  if (refit === "one-pass") return "-refit-one-pass";
  return refit ? "-refit" : "";
}

function quantizationName(quantization: Quantization): string {
  if (quantization.method === "none") return "fp32";
  const { method, bits, blockSize, symmetric, accuracyLevel } = quantization;
  const width = typeof bits === "number" ? bits : `${Number(bits.mixed.toFixed(2))}m`;
  return `${method === "rtn" ? "" : `${method}-`}q${width}b${blockSize}${symmetric ? "" : "a"}${accuracyLevel === 4 ? "" : `-l${accuracyLevel}`}`;
}
