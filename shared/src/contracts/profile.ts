import { z } from "zod";
import { Digest } from "./digest.ts";

/** What the machine is. Sizes in bytes; what could not be read is null. */
export const Inventory = z.strictObject({
  hostname: z.string(),
  /** Equal for agents on one host (machine id): they measure in turn. */
  hostId: z.string(),
  architecture: z.string(),
  os: z.string(),
  cpuModel: z.string(),
  logicalCores: z.int().positive(),
  /** Among avx2, avx512f, avx512_vnni, avx_vnni, asimddp, i8mm, ... as the kernel names them. */
  instructionSets: z.array(z.string()),
  memoryTotalBytes: z.int().positive(),
  memoryAvailableBytes: z.int().nonnegative(),
  diskFreeBytes: z.int().nonnegative(),
  executionProviders: z.array(z.string()),
  onnxruntimeVersion: z.string(),
  agentVersion: z.string(),
  powerSource: z.enum(["mains", "battery", "unknown"]),
  thermalCelsius: z.number().nullable(),
  energyCounter: z.string().nullable(),
});
export type Inventory = z.infer<typeof Inventory>;

/** The owner's budget; null is no limit. `cpuQuota` in cores: 0.5 is half of one core. */
export const Budget = z.strictObject({
  threads: z.int().positive(),
  memoryBytes: z.int().positive().nullable(),
  diskBytes: z.int().positive().nullable(),
  cpuQuota: z.number().positive().nullable(),
});
export type Budget = z.infer<typeof Budget>;

/** How each limit is enforced on this machine: `cgroup-v1`, `cgroup-v2`, `runtime` or `unenforced: <why>`. */
export const BudgetEnforcement = z.strictObject({
  threads: z.string(),
  memory: z.string(),
  disk: z.string(),
  cpuQuota: z.string(),
});
export type BudgetEnforcement = z.infer<typeof BudgetEnforcement>;

/** Repeated observations in one unit, of what is never negative. `relativeSpread` is the interquartile range over the median. */
export const Sample = z.strictObject({
  median: z.number().nonnegative(),
  p90: z.number().nonnegative(),
  relativeSpread: z.number().nonnegative(),
  repetitions: z.int().positive(),
  /** Beyond Tukey's fences, and counted in all of the above; absent in samples taken before they were counted. */
  outliers: z.int().nonnegative().optional(),
});
export type Sample = z.infer<typeof Sample>;

/**
 * Timings of one kit graph; of a graph that was timed twice there are two. Decode: one token with `contextTokens` in the KV cache. Prefill: a prompt of `promptTokens`.
 * One graph of a kit also has a long context and prompt, from which the cost of attention follows.
 */
export const KitTiming = z.strictObject({
  graphId: z.string(),
  /** Tokens that the KV cache had room for: its bytes are part of the memory below. */
  cacheTokens: z.int().nonnegative().default(0),
  /** Of one number in the cache: 4, or 2 where the agent's own attention runs. */
  cacheElementBytes: z.int().positive().default(4),
  decode: z.array(z.strictObject({ contextTokens: z.int().nonnegative(), ms: Sample })),
  prefill: z.array(z.strictObject({ promptTokens: z.int().positive(), ms: Sample })),
  loadMs: z.number().nonnegative(),
  /** Growth of resident memory by loading the graph, and by running it on top, at its highest. */
  loadedMemoryBytes: z.number(),
  runningMemoryBytes: z.number(),
  /** Highest growth while it was loaded; null in timings that have it in `runningMemoryBytes`. */
  loadPeakMemoryBytes: z.number().nullable().default(null),
  /** Mean power of the processors' packages while it was timed; null where no counter can be read. */
  watts: z.number().nonnegative().nullable().default(null),
  /** Where it was kept busy: time per output token in the first and in the last tenth of that time. */
  sustained: z.strictObject({ seconds: z.number().positive(), first: Sample, last: Sample }).optional(),
});
export type KitTiming = z.infer<typeof KitTiming>;

/** What one variant really did on the device, run by the serving path on real prompts. */
export const VariantTiming = z.strictObject({
  artifactDigest: Digest,
  promptTokens: z.int().positive(),
  outputTokens: z.int().positive(),
  ttftMs: Sample,
  tpotMs: Sample,
  /** Each request's own times, in the order of the requests: a gate counts those above its limit. */
  ttftEachMs: z.array(z.number()).max(100).default([]),
  tpotEachMs: z.array(z.number()).max(100).default([]),
  /** Peak resident memory of the agent process while it ran. */
  peakMemoryBytes: z.int().positive(),
  /** Of the processors' packages, per generated token, its prompt's share included; null where no counter can be read. */
  joulesPerToken: z.number().nonnegative().nullable().default(null),
  loadMs: z.number(),
});
export type VariantTiming = z.infer<typeof VariantTiming>;

export const Measurements = z.strictObject({
  memoryBandwidthBytesPerSecond: Sample.nullable(),
  diskWriteBytesPerSecond: Sample.nullable(),
  /** Of bytes that travel. */
  downloadBytesPerSecond: Sample.nullable(),
  kit: z.strictObject({ kitDigest: Digest, timings: z.array(KitTiming) }).nullable(),
  /** Resident memory of the agent before any model is loaded. */
  baseMemoryBytes: z.number().nullable(),
  variants: z.array(VariantTiming),
});
export type Measurements = z.infer<typeof Measurements>;

/** A device as measured: what the planner decides from. */
export const DeviceProfile = z.strictObject({
  schemaVersion: z.literal(1),
  deviceId: z.string(),
  measuredAtMs: z.int(),
  /** 1 for a device's first, and one more each time that it is measured. */
  version: z.int().positive().default(1),
  /** Why it was measured; empty in profiles made before that was kept. */
  reason: z.string().default(""),
  /** What measuring took, waiting for others apart; null in profiles made before that was kept. */
  measuringSeconds: z.number().nonnegative().nullable().default(null),
  inventory: Inventory,
  budget: Budget,
  enforcement: BudgetEnforcement,
  measurements: Measurements,
});
export type DeviceProfile = z.infer<typeof DeviceProfile>;
