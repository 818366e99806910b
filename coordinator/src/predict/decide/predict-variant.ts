import type { Prediction, TimePrediction, VariantPrediction } from "@espalier/shared/contracts/plan";
import type { Measurements } from "@espalier/shared/contracts/profile";
import type { CorrectionFactors } from "./corrections.ts";
import type { DeviceModel, FormatModel } from "./device-model.ts";
import { estimateOf } from "./estimator.ts";
import type { RequestLengths } from "./length-weights.ts";
import { type Match, matchVariant, type PredictionVariant, type Refusal } from "./match-variant.ts";
import type { MeasuredPower } from "./measured-power.ts";
import { uncertaintyFloor } from "./request-costs.ts";
import type { ShapeFeatures } from "./shape-features.ts";

/**
 * No prediction of memory claims to be nearer than this (ours: huge pages, allocator slack, and a tokenizer, whose part is taken from
 * the size of its vocabulary).
 */
const memoryUncertaintyFloor = 0.03;
/** Agents enforce a CPU quota over periods of this length: a process that used its share up stalls for the rest of one. */
const quotaPeriodMs = 10;
/** A load is timed once, and from a warm page cache (ours). */
const loadUncertainty = 0.5;

/** A device's side of a prediction. */
export interface PredictionDevice {
  /** From `fitDevice`. */
  model: DeviceModel;
  measurements: Pick<Measurements, "baseMemoryBytes" | "downloadBytesPerSecond">;
  /** In cores, null without one. */
  cpuQuota: number | null;
  /** What predictions are multiplied by. */
  factors: CorrectionFactors;
  /** What its processors take while they decode; null without an energy counter. */
  power: MeasuredPower | null;
}

export interface PredictionRequest extends PredictionDevice, PredictionVariant {
  /** For the prompt and output length that is predicted for. */
  lengths: RequestLengths;
  /** Bytes of the variant that stays on disk for rollback, 0 if none. */
  previousArtifactBytes: number;
}

export type PredictionResult = { ok: true; prediction: VariantPrediction } | ({ ok: false } & Refusal);

/**
 * The order in which `writePrediction` writes, of each its value and how far its upper end lies above it (relative); NaN for what
 * isn't known. What of the first two's is requests' 90th percentile above their median comes after all.
 */
export const quantities = [
  "tpotMs",
  "ttftMs",
  "peakMemoryBytes",
  "diskBytes",
  "downloadSeconds",
  "joulesPerToken",
  "loadMs",
] as const satisfies readonly (keyof VariantPrediction)[];
const p90ExcessAt = 2 * quantities.length;
/** Quantities that are times of requests: the first ones. */
const times = 2;
/** Numbers that one prediction takes. */
export const predictionWidth = p90ExcessAt + times;

/** Predicts what a variant costs on a device from the device's own timings of the measurement kit. Times in ms at the median. */
export function predictVariant(request: PredictionRequest): PredictionResult {
  const numbers = new Float64Array(predictionWidth);
  const match = matchVariant(request, request.model);
  const refusal = writePrediction(request, match, request.lengths, request.previousArtifactBytes, numbers, 0);
  return refusal === null ? { ok: true, prediction: readPrediction(numbers, 0) } : { ok: false, ...refusal };
}

/** `predictVariant` for whole fleets: the numbers go to `into[at]` and after; null, or why there are none. */
export function writePrediction(
  device: Omit<PredictionDevice, "model">,
  match: Match,
  lengths: RequestLengths,
  previousArtifactBytes: number,
  into: Float64Array,
  at: number,
): Refusal | null {
  if (match.kind === "refused") return match.refusal;
  if (match.kind === "mixed") return writeMixed(device, match, lengths, previousArtifactBytes, into, at);
  const { variant, model } = match;
  const { shape, artifactBytes, wireBytes } = variant;
  const { measurements, cpuQuota, factors, power } = device;
  if (measurements.baseMemoryBytes === null) {
    return { problem: "memory-not-measured", message: "the device has not reported its memory without a model" };
  }
  const { decode, prefill } = model.costsOf(lengths);
  decode.write(shape, into, at);
  prefill.write(shape, into, at + 2);
  into[at] = (into[at] ?? 0) * factors.tpotMs;
  into[at + 2] = (into[at + 2] ?? 0) * factors.ttftMs;
  writeEnergy(power, lengths.steps, into, at);
  raiseToP90(decode.p90Excess + stallShare(cpuQuota, lengths.steps, into[at] ?? 0), into, at, 0);
  raiseToP90(prefill.p90Excess + stallShare(cpuQuota, 1, into[at + 2] ?? 0), into, at, 1);
  writeMemory(model, variant, measurements.baseMemoryBytes + tokenizerBytes(shape), into, at + 4);
  into[at + 4] = (into[at + 4] ?? 0) * factors.peakMemoryBytes;
  // While a variant is put together its chunks and its files are both there.
  into[at + 6] = 2 * artifactBytes + previousArtifactBytes;
  into[at + 7] = 0.01;
  const rate = measurements.downloadBytesPerSecond;
  const known = rate !== null && rate.median > 0;
  into[at + 8] = known ? wireBytes / rate.median : Number.NaN;
  into[at + 9] = known ? Math.max(uncertaintyFloor, rate.relativeSpread) : Number.NaN;
  into[at + 12] = estimateOf(model.weights.load, shape[model.weights.kind]);
  into[at + 13] = loadUncertainty;
  return null;
}

/** Each matrix costs what its format costs it: between the two formats, by the share of the weights that each has. */
function writeMixed(
  device: Omit<PredictionDevice, "model">,
  { narrow, wide, wideShare }: Extract<Match, { kind: "mixed" }>,
  lengths: RequestLengths,
  previousArtifactBytes: number,
  into: Float64Array,
  at: number,
): Refusal | null {
  const other = new Float64Array(predictionWidth);
  const refusal =
    writePrediction(device, narrow, lengths, previousArtifactBytes, into, at) ??
    writePrediction(device, wide, lengths, previousArtifactBytes, other, 0);
  if (refusal !== null) return refusal;
  for (let time = 0; time < times; time++) {
    const [one, two] = [(1 - wideShare) * (into[at + 2 * time] ?? 0), wideShare * (other[2 * time] ?? 0)];
    const excess = p90ExcessAt + time;
    if (one + two > 0) into[at + excess] = (one * (into[at + excess] ?? 0) + two * (other[excess] ?? 0)) / (one + two);
  }
  for (let n = 0; n < p90ExcessAt; n += 2) {
    const [one, two] = [(1 - wideShare) * (into[at + n] ?? 0), wideShare * (other[n] ?? 0)];
    // What is unsure in one format may be unsure the same way in the other: errors add up.
    const error = one * (into[at + n + 1] ?? 0) + two * (other[n + 1] ?? 0);
    into[at + n] = one + two;
    into[at + n + 1] = one + two === 0 ? uncertaintyFloor : error / (one + two);
  }
  return null;
}

/**
 * Kits are timed with a cache that nothing was calibrated for: of floats where ONNX Runtime attends, narrower where the
 * agent's own kernels do, which keep int8 for a variant that has the scales.
 */
function cacheElementBytes({ cacheElementBytes }: FormatModel, { int8Cache }: ShapeFeatures): number {
  const ownKernels = cacheElementBytes < Float32Array.BYTES_PER_ELEMENT;
  return int8Cache && ownKernels ? Int8Array.BYTES_PER_ELEMENT : cacheElementBytes;
}

/** The prediction whose numbers begin at `from[at]`. */
export function readPrediction(from: Float64Array, at: number): VariantPrediction {
  const quantity = (index: number): Prediction => ({
    value: from[at + 2 * index] ?? Number.NaN,
    relativeUncertainty: from[at + 2 * index + 1] ?? Number.NaN,
  });
  const time = (index: number): TimePrediction => {
    const { value, relativeUncertainty: upperEnd } = quantity(index);
    const p90Excess = from[at + p90ExcessAt + index] ?? Number.NaN;
    return { value, relativeUncertainty: (1 + upperEnd) / (1 + p90Excess) - 1, p90Excess };
  };
  return {
    tpotMs: time(0),
    ttftMs: time(1),
    peakMemoryBytes: quantity(2),
    diskBytes: quantity(3),
    downloadSeconds: Number.isNaN(from[at + 8]) ? null : quantity(4),
    joulesPerToken: Number.isNaN(from[at + 10]) ? null : quantity(5),
    loadMs: quantity(6),
  };
}

/** A short request under a quota may meet one whole stall more than the median one, shared by its `steps`. */
function stallShare(cpuQuota: number | null, steps: number, ms: number): number {
  const stallMs = quotaPeriodMs * Math.max(0, 1 - (cpuQuota ?? 1));
  return ms > 0 ? stallMs / steps / ms : 0;
}

/** The upper end of a time's uncertainty is a run's median; that of requests is further up. @param time 0 or 1, in the order of quantities */
function raiseToP90(p90Excess: number, numbers: Float64Array, at: number, time: number): void {
  const uncertainty = numbers[at + 2 * time + 1] ?? 0;
  numbers[at + 2 * time + 1] = (1 + uncertainty) * (1 + p90Excess) - 1;
  numbers[at + p90ExcessAt + time] = p90Excess;
}

/**
 * The peak comes while the weights are packed, or later, when the cache is there and runs have their buffers; by then tokens have
 * brought in the rows of the embedding, which a runtime maps from the file beside the head's packed copy: all of them after a
 * download, since Linux maps in one piece what it has kept as one. After a restart of the device it may be half of them.
 */
function writeMemory(
  model: FormatModel,
  { shape, contextTokens }: PredictionVariant,
  baseBytes: number,
  into: Float64Array,
  at: number,
): void {
  const { kind, loadPeak, serving } = model.weights;
  const features = shape[kind];
  const cacheBytes = cacheElementBytes(model, shape) * shape.cacheElementsPerToken * contextTokens;
  const loading = loadPeak.estimator.estimate(features);
  const served = serving.estimator.estimate(features);
  const atWork = served + cacheBytes + shape.embeddingRowsBytes;
  const [{ estimator }, peak] = loading > atWork ? [loadPeak, loading] : [serving, atWork];
  const { relative, quantile } = model.spreads.memory;
  const ownRun = relative * Math.max(loading, served);
  const error = quantile * Math.sqrt(estimator.variance(features) + ownRun * ownRun);
  into[at] = baseBytes + peak;
  into[at + 1] = Math.max(memoryUncertaintyFloor, error / (baseBytes + peak));
}

/** A request's time at the measured power, shared by its tokens. Its times may all be wrong the same way: errors add up. */
function writeEnergy(power: MeasuredPower | null, steps: number, numbers: Float64Array, at: number): void {
  const decodeMs = steps * (numbers[at] ?? 0);
  const prefillMs = numbers[at + 2] ?? 0;
  const ms = decodeMs + prefillMs;
  const errorMs = decodeMs * (numbers[at + 1] ?? 0) + prefillMs * (numbers[at + 3] ?? 0);
  numbers[at + 10] = power === null ? Number.NaN : (power.watts * ms) / 1000 / (steps + 1);
  numbers[at + 11] = power === null ? Number.NaN : (ms === 0 ? 0 : errorMs / ms) + power.relativeSpread;
}

/** Memory of a loaded tokenizer (ours: SmolLM2's 49,152 entries take 45 to 60 MB of JavaScript objects). */
export function tokenizerBytes({ shape }: ShapeFeatures): number {
  return 1000 * shape.vocabularySize;
}
