import type { VariantShape, WeightFormat } from "@espalier/shared/contracts/shape";

type Layer = VariantShape["layers"][number];

/** Parameters of a block's linear weights: q, k, v, o and gate, up, down. */
export function layerParameters(shape: VariantShape, layer: Layer): number {
  return attentionParameters(shape, layer) + ffnParameters(shape, layer);
}

/** Of q, k, v and o. */
export function attentionParameters(shape: VariantShape, { heads, kvHeads }: Layer): number {
  return 2 * shape.hiddenSize * shape.headSize * (heads + kvHeads);
}

/** Of gate, up and down, or of up and down alone. */
export function ffnParameters(shape: VariantShape, { ffnSize }: Layer): number {
  return ffnMatrices(shape) * shape.hiddenSize * ffnSize;
}

type Matrix = NonNullable<VariantShape["exceptions"]>[number]["matrix"];

/** Of one of a block's four matrices; 0 for a layer that the shape doesn't have. */
export function matrixParameters(
  { hiddenSize, headSize, layers, ungatedFfn }: VariantShape,
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
      return (ungatedFfn === true ? 1 : 2) * hiddenSize * layer.ffnSize;
    case "ffn.down":
      return hiddenSize * layer.ffnSize;
  }
}

/**
 * FFN columns as the kernels see them: a row of down_proj ends with a whole quantization block, so that matrix's share of the
 * work is done for padded columns.
 */
export function ffnColumns(shape: VariantShape, { ffnSize }: Layer): number {
  const block = Math.max(1, shape.linearFormat.blockSize);
  const matrices = ffnMatrices(shape);
  return ((matrices - 1) * ffnSize + Math.ceil(ffnSize / block) * block) / matrices;
}

function ffnMatrices({ ungatedFfn }: VariantShape): number {
  return ungatedFfn === true ? 2 : 3;
}

/** A row of a matrix as it is stored: whole blocks of numbers, each with its scale (fp32) and zero point. */
export function storedRowBytes({ bits, blockSize, symmetric }: WeightFormat, columns: number): number {
  if (bits === 32) return 4 * columns;
  const blocks = Math.ceil(columns / blockSize);
  return blocks * ((blockSize * bits) / 8 + 4) + (symmetric ? 0 : Math.ceil((blocks * bits) / 8));
}

/** Heads of all layers: what a token of context costs in attention follows from. */
export function totalHeads({ layers }: VariantShape): number {
  return layers.reduce((sum, { heads }) => sum + heads, 0);
}

/** Numbers in a KV cache with room for `contextTokens` (keys and values of all layers). */
export function kvCacheElements({ layers, headSize }: VariantShape, contextTokens: number): number {
  return layers.reduce((sum, { kvHeads }) => sum + 2 * kvHeads * headSize * contextTokens, 0);
}
