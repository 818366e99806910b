import { type Digest, digestOfJson } from "@espalier/shared/contracts/digest";
import type { Kit, KitGraph } from "@espalier/shared/contracts/kit";
import type { DeviceProfile, KitTiming, Sample } from "@espalier/shared/contracts/profile";
import { formatKey, type VariantShape, type WeightFormat } from "@espalier/shared/contracts/shape";
import { kvCacheElements, layerParameters } from "../decide/layer-cost.ts";

/** A device whose true costs are known, so that tests can compare a prediction with the truth. Times in ms. */
export interface TrueCosts {
  fixedMs: number;
  layerMs: number;
  ffnColumnMs: number;
  /** Added per layer and token in the cache. */
  contextMs: number;
  /** Speed relative to these costs, per format key. */
  factors: Readonly<Record<string, number>>;
  baseMemoryBytes: number;
  memoryPerWeightByte: number;
}

export const ordinaryCosts: TrueCosts = {
  fixedMs: 2,
  layerMs: 0.2,
  ffnColumnMs: 0.0003,
  contextMs: 0.00005,
  factors: { q8b128: 1, q4b32a: 0.8, q4b128a: 0.55 },
  baseMemoryBytes: 57.5e6,
  memoryPerWeightByte: 1.1,
};

export const formats = {
  q8b128: { bits: 8, blockSize: 128, symmetric: true, accuracyLevel: 4 },
  q4b32a: { bits: 4, blockSize: 32, symmetric: false, accuracyLevel: 4 },
  q4b128a: { bits: 4, blockSize: 128, symmetric: false, accuracyLevel: 4 },
} as const satisfies Record<string, WeightFormat>;

/** A decoder of the SmolLM2-135M proportions with the given depth and FFN size. */
export function shapeOf(linearFormat: WeightFormat, layers: number, ffnSize: number): VariantShape {
  const base = {
    hiddenSize: 576,
    headSize: 64,
    vocabularySize: 49152,
    contextLength: 8192,
    layers: Array.from({ length: layers }, () => ({ heads: 9, kvHeads: 3, ffnSize })),
    linearFormat,
    embeddingFormat: formats.q8b128,
    nonEmbeddingParameters: 1,
    weightBytes: 1,
    embeddingBytes: 0,
  };
  const parameters = base.layers.reduce((sum, layer) => sum + layerParameters(base, layer), 0);
  const embeddingBytes = 576 * 49152;
  return {
    ...base,
    nonEmbeddingParameters: parameters,
    embeddingBytes,
    weightBytes: Math.round((parameters * linearFormat.bits) / 8) + embeddingBytes,
  };
}

export function trueDecodeMs(costs: TrueCosts, shape: VariantShape, contextTokens: number): number {
  const ffn = shape.layers.reduce((sum, layer) => sum + layer.ffnSize, 0);
  const perLayers = shape.layers.length * (costs.layerMs + costs.contextMs * contextTokens);
  return costs.fixedMs + (costs.factors[formatKey(shape.linearFormat)] ?? 1) * (perLayers + costs.ffnColumnMs * ffn);
}

/** Prefill of n tokens costs as much as decoding them one by one, divided by 6. */
export function truePrefillMs(costs: TrueCosts, shape: VariantShape, promptTokens: number): number {
  return costs.fixedMs + ((trueDecodeMs(costs, shape, promptTokens / 2) - costs.fixedMs) * promptTokens) / 6;
}

const modelDigest = digestOfJson("model");

/** Per format three graphs: two depths, and a second FFN size at the greater depth. */
export function syntheticKit(sizes: readonly { depth: number; ffnSize: number }[] = kitSizes): Kit {
  const graphs = Object.values(formats).flatMap((format) =>
    sizes.map(({ depth, ffnSize }): KitGraph => {
      const shape = shapeOf(format, depth, ffnSize);
      return {
        id: `${formatKey(format)}/d${depth}f${ffnSize}`,
        format,
        depth,
        ffnSize,
        shape,
        graph: {
          file: "g.onnx",
          version: 1,
          opset: 21,
          kvDtype: "float32",
          contextLength: 8192,
          layers: [],
          vocabularySize: 49152,
        },
        weightsFile: "g.onnx.data",
        weightsBytes: shape.weightBytes,
        tensors: [],
      };
    }),
  );
  return { schemaVersion: 1, kind: "kit", modelDigest, floatFill: 0.01, graphs, files: [] };
}

export const kitSizes = [
  { depth: 2, ffnSize: 1536 },
  { depth: 6, ffnSize: 1536 },
  { depth: 6, ffnSize: 768 },
] as const;

export function syntheticTimings(
  kit: Kit,
  costs: TrueCosts,
  relativeSpread = 0.01,
  watts: number | null = null,
  cacheElementBytes = 4,
): KitTiming[] {
  const sample = (median: number): Sample => ({
    median,
    p90: median * (1 + relativeSpread),
    relativeSpread,
    repetitions: 20,
  });
  return kit.graphs.map((graph) => ({
    graphId: graph.id,
    cacheTokens: 513,
    cacheElementBytes,
    decode: [64, 512].map((contextTokens) => ({
      contextTokens,
      ms: sample(trueDecodeMs(costs, graph.shape, contextTokens)),
    })),
    prefill: [16, 64, 128].map((promptTokens) => ({
      promptTokens,
      ms: sample(truePrefillMs(costs, graph.shape, promptTokens)),
    })),
    loadMs: 10,
    loadedMemoryBytes:
      1e6 + costs.memoryPerWeightByte * graph.weightsBytes + cacheElementBytes * kvCacheElements(graph.shape, 513),
    runningMemoryBytes: 5e6,
    loadPeakMemoryBytes: 30e6 + costs.memoryPerWeightByte * graph.weightsBytes,
    watts,
  }));
}

export interface SyntheticDevice {
  deviceId: string;
  kit: Kit;
  /** Of `kit`, where it is known. */
  kitDigest?: Digest;
  costs?: TrueCosts;
  cpuModel?: string;
  memoryBytes?: number | null;
  diskBytes?: number | null;
  threads?: number;
  /** While it runs the kit. */
  watts?: number | null;
}

/** The profile of a device measured with `kit`. */
export function syntheticProfile(device: SyntheticDevice): DeviceProfile {
  const {
    deviceId,
    kit,
    kitDigest = digestOfJson(kit),
    costs = ordinaryCosts,
    cpuModel = "Test CPU",
    memoryBytes = null,
    diskBytes = null,
    threads = 1,
    watts = null,
  } = device;
  const rate: Sample = { median: 1e8, p90: 1.1e8, relativeSpread: 0.1, repetitions: 5 };
  return {
    schemaVersion: 1,
    deviceId,
    measuredAtMs: 1,
    version: 1,
    reason: "never measured before",
    measuringSeconds: 40,
    inventory: {
      hostname: "host",
      hostId: "host",
      architecture: "x64",
      os: "linux",
      cpuModel,
      logicalCores: 2,
      instructionSets: [],
      memoryTotalBytes: 8e9,
      memoryAvailableBytes: 4e9,
      diskFreeBytes: 1e10,
      executionProviders: ["cpu"],
      onnxruntimeVersion: "1.30.0",
      agentVersion: "0.1.0",
      powerSource: "unknown",
      thermalCelsius: null,
      energyCounter: null,
    },
    budget: { threads, memoryBytes, diskBytes, cpuQuota: null },
    enforcement: { threads: "runtime", memory: "runtime", disk: "runtime", cpuQuota: "runtime" },
    measurements: {
      memoryBandwidthBytesPerSecond: rate,
      diskWriteBytesPerSecond: rate,
      downloadBytesPerSecond: rate,
      kit: { kitDigest, timings: syntheticTimings(kit, costs, 0.01, watts) },
      baseMemoryBytes: costs.baseMemoryBytes,
      variants: [],
    },
  };
}
