import type { VariantShape } from "@espalier/shared/contracts/shape";

type Layer = VariantShape["layers"][number];

/** Parameters of a block's linear weights: q, k, v, o and gate, up, down. */
export function layerParameters(shape: VariantShape, layer: Layer): number {
  const attention = 2 * shape.hiddenSize * shape.headSize * (layer.heads + layer.kvHeads);
  return attention + 3 * shape.hiddenSize * layer.ffnSize;
}

type Matrix = NonNullable<VariantShape["exceptions"]>[number]["matrix"];

/** Of one of a block's four matrices; 0 for a layer that the shape doesn't have. */
export function matrixParameters(
  { hiddenSize, headSize, layers }: VariantShape,
  index: number,
  matrix: Matrix,
): number {
  const layer = layers[index];
  if (layer === undefined) return 0;
  switch (matrix) {
    case "attention.qkv":
      return hiddenSize * headSize * (layer.heads + 2 * layer.kvHeads);
    case "attention.output":
      return hiddenSize * headSize * layer.heads;
    case "ffn.gate_up":
      return 2 * hiddenSize * layer.ffnSize;
    case "ffn.down":
      return hiddenSize * layer.ffnSize;
  }
}

/**
 * FFN columns as the kernels see them: a row of down_proj ends with a whole quantization block, so the last third of the
 * work is done for padded columns.
 */
export function ffnColumns({ linearFormat }: VariantShape, { ffnSize }: Layer): number {
  const block = Math.max(1, linearFormat.blockSize);
  return (2 * ffnSize + Math.ceil(ffnSize / block) * block) / 3;
}

/** Heads of all layers: what a token of context costs in attention follows from. */
export function totalHeads({ layers }: VariantShape): number {
  return layers.reduce((sum, { heads }) => sum + heads, 0);
}

/** Numbers in a KV cache with room for `contextTokens` (keys and values of all layers). */
export function kvCacheElements({ layers, headSize }: VariantShape, contextTokens: number): number {
  return layers.reduce((sum, { kvHeads }) => sum + 2 * kvHeads * headSize * contextTokens, 0);
}
