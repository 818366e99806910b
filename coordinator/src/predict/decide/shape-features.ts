import { formatKey, type VariantShape } from "@espalier/shared/contracts/shape";
import { type Features, featureVector } from "./estimator.ts";
import {
  ffnColumns,
  kvCacheElements,
  layerParameters,
  matrixParameters,
  storedRowBytes,
  totalHeads,
} from "./layer-cost.ts";

/** What a prediction needs of a shape, computed once for a whole fleet. */
export interface ShapeFeatures {
  shape: VariantShape;
  /** Of the format that it must have been timed in. */
  formatKey: string;
  /** `[1, layers, sum of FFN columns]` */
  columns: Features;
  /** `[1, sum of the layers' parameters]` */
  parameters: Features;
  /** `[1, bytes of the weights]` */
  weights: Features;
  /** `[bytes of the weights]` */
  bytes: Features;
  /** Of the embedding's rows as they are stored, which lie in memory beside the head's once tokens have used them. */
  embeddingRowsBytes: number;
  heads: number;
  cacheElementsPerToken: number;
  /** Its cache may be of int8. */
  int8Cache: boolean;
  /** Distinct pairs of heads and KV heads. */
  headKinds: readonly string[];
  /** Null where all matrices of the layers have one format. */
  mixed: MixedFeatures | null;
}

/** A variant of two formats, as if all of its matrices had either, and as many bytes as they really have. */
export interface MixedFeatures {
  narrow: ShapeFeatures;
  wide: ShapeFeatures;
  /** Of the layers' weights that are wide. */
  wideShare: number;
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
    columns: featureVector(
      1,
      layers.length,
      sumOf(layers, (layer) => ffnColumns(shape, layer)),
    ),
    parameters: featureVector(
      1,
      sumOf(layers, (layer) => layerParameters(shape, layer)),
    ),
    weights: featureVector(1, shape.weightBytes),
    bytes: featureVector(shape.weightBytes),
    embeddingRowsBytes: shape.vocabularySize * storedRowBytes(shape.embeddingFormat, shape.hiddenSize),
    heads: totalHeads(shape),
    cacheElementsPerToken: kvCacheElements(shape, 1),
    int8Cache: shape.kvCache === "int8",
    headKinds: [...new Set(layers.map((layer) => `${layer.heads}/${layer.kvHeads}`))],
    mixed: mixedFeatures(shape),
  };
}

function mixedFeatures({ exceptions, ...shape }: VariantShape): MixedFeatures | null {
  const linearFormat = exceptions?.[0]?.format;
  if (exceptions === undefined || linearFormat === undefined) return null;
  const parameters = sumOf(shape.layers, (layer) => layerParameters(shape, layer));
  const wide = sumOf(exceptions, ({ layer, matrix }) => matrixParameters(shape, layer, matrix));
  return {
    narrow: featuresOf(shape),
    wide: featuresOf({ ...shape, linearFormat }),
    wideShare: wide / parameters,
  };
}

function sumOf<Item>(items: readonly Item[], amount: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + amount(item), 0);
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
