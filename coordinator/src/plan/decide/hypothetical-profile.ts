import type { Digest } from "@espalier/shared/contracts/digest";
import type { Kit } from "@espalier/shared/contracts/kit";
import type { DeviceProfile, KitTiming, Sample } from "@espalier/shared/contracts/profile";
import type { VariantShape } from "@espalier/shared/contracts/shape";
import { kvCacheElements, layerParameters } from "../../predict/decide/layer-cost.ts";
import { normalQuantile95 } from "../../predict/decide/run-spread.ts";
import { interquartileRange } from "../../predict/decide/samples.ts";
import { estimates, type ReferenceDevice, readBytesPerSecond } from "./reference-devices.ts";

const contexts = [64, 256];
const prompts = [16, 64, 128];
/** The agent's own attention has a cache of float16. */
const cacheElementBytes = 2;

/**
 * What a reference device would have measured of a kit, by the roofline (Williams, Waterman and Patterson 2009): a run takes as
 * long as reading its weights or as its arithmetic, whichever is longer, and a fixed part per layer.
 */
export function hypotheticalProfile(
  reference: ReferenceDevice,
  { kit, kitDigest }: { kit: Kit; kitDigest: Digest },
): DeviceProfile {
  const bytesPerMs = readBytesPerSecond(reference) / 1000;
  const macsPerMs =
    (estimates.arithmeticShare * reference.cores * reference.macsPerCycle * reference.clockGhz * 1e9) / 1000;
  const cyclesPerMs = reference.clockGhz * 1e6;
  const runMs = (shape: VariantShape, newTokens: number, contextTokens: number) => {
    const parameters = shape.layers.reduce((sum, layer) => sum + layerParameters(shape, layer), 0);
    const head = shape.hiddenSize * shape.vocabularySize;
    const bytes = shape.weightBytes + cacheElementBytes * kvCacheElements(shape, contextTokens);
    const fixed = (estimates.runCycles + estimates.layerCycles * shape.layers.length) / cyclesPerMs;
    return fixed + Math.max(bytes / bytesPerMs, (newTokens * parameters + head) / macsPerMs);
  };
  const cacheTokens = Math.max(...contexts) + 1;
  const timings = kit.graphs.map(({ id, shape, weightsBytes }): KitTiming => {
    const stored = { ...shape, weightBytes: weightsBytes };
    return {
      graphId: id,
      cacheTokens,
      cacheElementBytes,
      decode: contexts.map((contextTokens) => ({ contextTokens, ms: guess(runMs(stored, 1, contextTokens)) })),
      prefill: prompts.map((promptTokens) => ({ promptTokens, ms: guess(runMs(stored, promptTokens, promptTokens)) })),
      loadMs: weightsBytes / bytesPerMs,
      loadedMemoryBytes:
        estimates.memoryPerWeightByte * weightsBytes + cacheElementBytes * kvCacheElements(shape, cacheTokens),
      runningMemoryBytes: 0,
      loadPeakMemoryBytes: null,
      watts: null,
    };
  });
  const sources = [reference.source, ...(reference.measuredRead === undefined ? [] : [reference.measuredRead.source])];
  return {
    schemaVersion: 1,
    deviceId: reference.name,
    measuredAtMs: 0,
    version: 1,
    reason: `estimated from ${sources.join(" and ")}`,
    measuringSeconds: null,
    inventory: {
      hostname: reference.name,
      hostId: reference.name,
      architecture: reference.architecture,
      os: "linux",
      cpuModel: reference.cpuModel,
      logicalCores: reference.cores,
      instructionSets: [],
      memoryTotalBytes: reference.memoryBytes,
      memoryAvailableBytes: reference.memoryBytes,
      diskFreeBytes: 0,
      executionProviders: ["cpu"],
      onnxruntimeVersion: "unmeasured",
      agentVersion: "unmeasured",
      powerSource: "unknown",
      thermalCelsius: null,
      energyCounter: null,
    },
    budget: {
      threads: reference.cores,
      memoryBytes: reference.memoryBytes - estimates.otherMemoryBytes,
      diskBytes: null,
      cpuQuota: null,
    },
    enforcement: { threads: "assumed", memory: "assumed", disk: "assumed", cpuQuota: "assumed" },
    measurements: {
      memoryBandwidthBytesPerSecond: guess(1000 * bytesPerMs),
      diskWriteBytesPerSecond: null,
      downloadBytesPerSecond: guess(estimates.downloadBytesPerSecond),
      kit: { kitDigest, timings },
      baseMemoryBytes: estimates.baseMemoryBytes,
      variants: [],
    },
  };
}

/** A sample as uncertain as the estimates are: of graphs timed once, predictions take the runs' spread from the sample's. */
function guess(median: number): Sample {
  const relativeSpread = (interquartileRange * estimates.relativeError) / normalQuantile95;
  return { median, p90: median, relativeSpread, repetitions: 1 };
}
