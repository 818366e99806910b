import type { LayerProfile } from "@espalier/shared/contracts/layer-profile";
import type { ModelPart, ModelProfile } from "@espalier/shared/contracts/model-profile";
import type { VariantShape, WeightFormat } from "@espalier/shared/contracts/shape";
import type { FormatModel } from "../../predict/decide/device-model.ts";
import { attentionParameters, ffnColumns, ffnParameters } from "../../predict/decide/layer-cost.ts";
import type { LengthCost } from "../../predict/decide/length-cost.ts";
import { findings } from "./findings.ts";

/** A device that has measured this model's kit. */
export interface ProfiledDevice {
  readonly name: string;
  /** Name of the format, e.g. `q8b128`. */
  readonly format: string;
  readonly model: FormatModel;
  readonly memoryBandwidthBytesPerSecond: number | null;
}

type Layer = VariantShape["layers"][number];

/** Puts together what each part of a model costs and how much quality hangs on it. */
export function profileModel(input: {
  modelName: string;
  profile: LayerProfile;
  /** Tokens in the cache while a token is generated. */
  contextTokens: number;
  device: ProfiledDevice | null;
}): ModelProfile {
  const { modelName, profile, contextTokens, device } = input;
  const { shape } = profile;
  const formats = device?.model.layout.format.reference.shape ?? shape;
  const cost = device === null ? null : nearest(device.model.decode, contextTokens);
  const embeddingParameters = shape.vocabularySize * shape.hiddenSize;
  // A tied pair is stored once: `embeddingBytes` says which it is.
  const isTied = shape.embeddingBytes < 2 * 4 * embeddingParameters;
  const common = { layer: null, cacheBytesPerToken: 0, removed: null, quantized: null };
  const parts: ModelPart[] = [
    {
      ...common,
      part: "embedding",
      parameters: embeddingParameters,
      flopsPerToken: 0,
      weightBytesPerToken: shape.hiddenSize * bytesPerWeight(formats.embeddingFormat),
      predictedMs: cost === null ? null : 0,
    },
    ...profile.blocks.map((block): ModelPart => {
      const layer = layerOf(shape, block.layer);
      const parameters = block.part === "ffn" ? ffnParameters(shape, layer) : attentionParameters(shape, layer);
      const isAttention = block.part === "attention";
      return {
        part: block.part,
        layer: block.layer,
        parameters,
        // Scores and their weighted sum: a multiply-add per head, head dimension and token in the context, twice.
        flopsPerToken: 2 * parameters + (isAttention ? 4 * layer.heads * shape.headSize * contextTokens : 0),
        weightBytesPerToken: parameters * bytesPerWeight(formats.linearFormat),
        cacheBytesPerToken: isAttention ? 2 * 4 * layer.kvHeads * shape.headSize : 0,
        predictedMs: cost === null ? null : blockMs(cost, block.part, ffnColumns(formats, layer), parameters),
        removed: block.removed,
        quantized: block.quantized,
      };
    }),
    {
      ...common,
      part: "head",
      parameters: isTied ? 0 : embeddingParameters,
      flopsPerToken: 2 * embeddingParameters,
      weightBytesPerToken: embeddingParameters * bytesPerWeight(formats.embeddingFormat),
      predictedMs: cost === null ? null : (cost.model.coefficients[0] ?? 0),
    },
  ];
  const predictedMs = parts.reduce((sum, part) => sum + (part.predictedMs ?? 0), 0);
  const timed = device === null || predictedMs === 0 ? null : { ...device, predictedMs };
  return {
    schemaVersion: 1,
    modelName,
    modelDigest: profile.modelDigest,
    contextTokens,
    protocol: profile.protocol,
    dense: profile.dense,
    probeFormat: profile.probeFormat,
    parts,
    device:
      timed === null
        ? null
        : {
            name: timed.name,
            format: timed.format,
            predictedMs,
            memoryBandwidthBytesPerSecond: timed.memoryBandwidthBytesPerSecond,
          },
    findings: findings(parts, timed),
  };
}

function layerOf(shape: VariantShape, index: number): Layer {
  const layer = shape.layers[index];
  if (layer === undefined) throw new RangeError(`the profile has a block of layer ${index}, the model has none`);
  return layer;
}

/** With its share of scales (fp32) and zero points; what padding takes is left out. */
function bytesPerWeight({ bits, blockSize, symmetric }: WeightFormat): number {
  if (bits === 32) return 4;
  return bits / 8 + (4 + (symmetric ? 0 : bits / 8)) / blockSize;
}

/**
 * The kit's model tells a layer's cost from that of its FFN width: what doesn't grow with the width is the attention's.
 * Where one width was measured, cost follows parameters.
 */
function blockMs({ kind, model }: LengthCost, part: "attention" | "ffn", columns: number, parameters: number): number {
  const [, first = 0, second = 0] = model.coefficients;
  if (kind === "parameters") return first * parameters;
  return part === "attention" ? first : second * columns;
}

function nearest(costs: readonly LengthCost[], tokens: number): LengthCost | null {
  const distance = (cost: LengthCost) => Math.abs(cost.tokens - tokens);
  return costs.reduce<LengthCost | null>(
    (best, cost) => (best === null || distance(cost) < distance(best) ? cost : best),
    null,
  );
}
