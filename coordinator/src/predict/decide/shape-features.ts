import type { VariantShape } from "@espalier/shared/contracts/shape";
import { costFeatures, measuredFormatKey } from "./device-model.ts";
import { kvCacheBytes, totalHeads } from "./layer-cost.ts";

/** What a prediction needs of a shape, computed once for a whole fleet. */
export interface ShapeFeatures {
  shape: VariantShape;
  /** Of the format that it must have been timed in. */
  formatKey: string;
  columns: readonly number[];
  parameters: readonly number[];
  heads: number;
  cacheBytesPerToken: number;
  /** Distinct pairs of heads and KV heads. */
  headKinds: readonly string[];
}

export function featuresOf(shape: VariantShape): ShapeFeatures {
  return {
    shape,
    formatKey: measuredFormatKey(shape),
    columns: costFeatures("columns", shape),
    parameters: costFeatures("parameters", shape),
    heads: totalHeads(shape),
    cacheBytesPerToken: kvCacheBytes(shape, 1),
    headKinds: [...new Set(shape.layers.map((layer) => `${layer.heads}/${layer.kvHeads}`))],
  };
}

/** Why costs measured on `measured` say nothing about `wanted`; null when they do. */
export function shapeDifference(measured: ShapeFeatures, wanted: ShapeFeatures): string | null {
  for (const field of ["hiddenSize", "headSize", "vocabularySize"] as const) {
    const [of, not] = [measured.shape[field], wanted.shape[field]];
    if (of !== not) return `${field} ${of}, not ${not}`;
  }
  const odd = wanted.headKinds.find((kind) => !measured.headKinds.includes(kind));
  return odd === undefined ? null : `heads ${measured.headKinds.join(", ")}, not ${odd}`;
}
