import type { VariantShape } from "@espalier/shared/contracts/shape";

type Layer = VariantShape["layers"][number];

/** Parameters of a block's linear weights: q, k, v, o and gate, up, down. */
export function layerParameters(shape: VariantShape, layer: Layer): number {
  const attention = 2 * shape.hiddenSize * shape.headSize * (layer.heads + layer.kvHeads);
  return attention + 3 * shape.hiddenSize * layer.ffnSize;
}

/** Bytes of a float32 KV cache with room for `contextTokens` (keys and values of all layers). */
export function kvCacheBytes(shape: VariantShape, contextTokens: number): number {
  return shape.layers.reduce((sum, layer) => sum + 2 * 4 * layer.kvHeads * shape.headSize * contextTokens, 0);
}
