import { formatKey, type VariantShape } from "@espalier/shared/contracts/shape";
import { ffnColumns, kvCacheElements, layerParameters, totalHeads } from "./layer-cost.ts";

/** What a prediction needs of a shape, computed once for a whole fleet. */
export interface ShapeFeatures {
  shape: VariantShape;
  /** Of the format that it must have been timed in. */
  formatKey: string;
  /** `[1, layers, sum of FFN columns]` */
  columns: readonly number[];
  /** `[1, sum of the layers' parameters]` */
  parameters: readonly number[];
  /** `[1, bytes of the weights]` */
  weights: readonly number[];
  /** `[bytes of the weights]` */
  bytes: readonly number[];
  heads: number;
  cacheElementsPerToken: number;
  /** Its cache may be of int8. */
  int8Cache: boolean;
  /** Distinct pairs of heads and KV heads. */
  headKinds: readonly string[];
}

/** Key under which a format is measured: linear and embedding weights are timed together. */
export function measuredFormatKey(shape: VariantShape): string {
  return `${formatKey(shape.linearFormat)}+${formatKey(shape.embeddingFormat)}`;
}

export function featuresOf(shape: VariantShape): ShapeFeatures {
  const { layers } = shape;
  return {
    shape,
    formatKey: measuredFormatKey(shape),
    columns: [1, layers.length, layers.reduce((sum, layer) => sum + ffnColumns(shape, layer), 0)],
    parameters: [1, layers.reduce((sum, layer) => sum + layerParameters(shape, layer), 0)],
    weights: [1, shape.weightBytes],
    bytes: [shape.weightBytes],
    heads: totalHeads(shape),
    cacheElementsPerToken: kvCacheElements(shape, 1),
    int8Cache: shape.kvCache === "int8",
    headKinds: [...new Set(layers.map((layer) => `${layer.heads}/${layer.kvHeads}`))],
  };
}

/** Why costs measured on `measured` say nothing about `wanted`; null when they do. */
export function shapeDifference(measured: ShapeFeatures, wanted: ShapeFeatures): string | null {
  for (const field of ["hiddenSize", "headSize", "vocabularySize"] as const) {
    if (measured.shape[field] !== wanted.shape[field])
      return `${field} ${measured.shape[field]}, not ${wanted.shape[field]}`;
  }
  for (const kind of wanted.headKinds) {
    if (!measured.headKinds.includes(kind)) return `heads ${measured.headKinds.join(", ")}, not ${kind}`;
  }
  return null;
}
