import type { Prediction, VariantPrediction } from "@espalier/shared/contracts/plan";
import type { Measurements } from "@espalier/shared/contracts/profile";
import type { CostModel, DeviceModel, FormatModel } from "./device-model.ts";
import { estimate } from "./least-squares.ts";
import type { LengthWeights, RequestLengths } from "./length-weights.ts";
import { type ShapeFeatures, shapeDifference } from "./shape-features.ts";

/** No prediction claims to be nearer than this, however calm the measurements were (ours: the repeat-measurement floor). */
export const uncertaintyFloor = 0.05;
/** Added where a layer's cost had to be taken from its parameters, since only one FFN size was measured (ours). */
const singleWidthUncertainty = 0.1;
/** Added per doubling of the length beyond the longest measured one (ours: attention grows faster than the line). */
const extrapolationUncertainty = 0.1;
/** Relative error given to the attention's part of a cost (ours: it is timed on one graph). */
const attentionUncertainty = 0.1;
/** Agents enforce a CPU quota over periods of this length: a process that used its share up stalls for the rest of one. */
const quotaPeriodMs = 10;
/** A load is timed once, and from a warm page cache (ours). */
const loadUncertainty = 0.5;
/** One-sided 95 % quantile of the normal distribution. */
const oneSided95 = 1.645;

export interface PredictionRequest {
  /** From `fitDevice`. */
  model: DeviceModel;
  /** For the prompt and output length that is predicted for. */
  lengths: RequestLengths;
  measurements: Pick<Measurements, "baseMemoryBytes" | "downloadBytesPerSecond">;
  /** In cores, null without one. */
  cpuQuota: number | null;
  shape: ShapeFeatures;
  /** Tokens that the agent's KV cache has room for. */
  contextTokens: number;
  /** All files of the artifact. */
  artifactBytes: number;
  /** Bytes of the variant that stays on disk for rollback, 0 if none. */
  previousArtifactBytes: number;
}

export type PredictionResult =
  | { ok: true; prediction: VariantPrediction }
  | { ok: false; problem: "format-not-measured" | "shape-differs" | "memory-not-measured"; message: string };

/**
 * Predicts what a variant costs on a device from the device's own timings of the measurement kit. Times in ms at the
 * median; `value * (1 + relativeUncertainty)` is the upper end for the 90th percentile.
 */
export function predictVariant(request: PredictionRequest): PredictionResult {
  const { shape, measurements, cpuQuota, lengths } = request;
  const model = request.model(shape.formatKey);
  if (model === null) {
    return refuse(
      "format-not-measured",
      `the device has not timed weights in format ${shape.formatKey}; measure it with a kit that has it`,
    );
  }
  const difference = shapeDifference(model.reference, shape);
  if (difference !== null) return refuse("shape-differs", `the kit was made for another shape: ${difference}`);
  if (measurements.baseMemoryBytes === null) {
    return refuse("memory-not-measured", "the device has not reported its memory without a model");
  }
  const rate = measurements.downloadBytesPerSecond;
  return {
    ok: true,
    prediction: {
      tpotMs: withStall(
        predictTime(model, model.decode, lengths.decode(model), model.attention?.decodeMs, shape),
        cpuQuota,
        lengths.steps,
      ),
      ttftMs: withStall(
        predictTime(model, model.prefill, lengths.prefill(model), model.attention?.prefillMs, shape),
        cpuQuota,
        1,
      ),
      peakMemoryBytes: predictMemory(model, request, measurements.baseMemoryBytes),
      // While a variant is put together its chunks and its files are both there.
      diskBytes: { value: 2 * request.artifactBytes + request.previousArtifactBytes, relativeUncertainty: 0.01 },
      downloadSeconds:
        rate === null || rate.median <= 0
          ? null
          : {
              value: request.artifactBytes / rate.median,
              relativeUncertainty: Math.max(uncertaintyFloor, rate.relativeSpread),
            },
      loadMs: {
        value: estimate(model.loadMs, byWeights(model.loadMs, shape)).value,
        relativeUncertainty: loadUncertainty,
      },
    },
  };
}

/** A short request under a quota may meet one whole stall more than the median one, shared by its `steps`. */
function withStall(prediction: Prediction, cpuQuota: number | null, steps: number): Prediction {
  const stallMs = cpuQuota === null ? 0 : quotaPeriodMs * Math.max(0, 1 - cpuQuota);
  const share = prediction.value === 0 ? 0 : stallMs / steps / prediction.value;
  return { ...prediction, relativeUncertainty: prediction.relativeUncertainty + share };
}

function predictTime(
  format: FormatModel,
  series: readonly CostModel[],
  lengths: LengthWeights,
  attentionMs: number | undefined,
  shape: ShapeFeatures,
): Prediction {
  const attention = (attentionMs ?? 0) * shape.heads * lengths.attention;
  let value = attention;
  let variance = 0;
  let systematic = 0;
  for (let index = 0; index < series.length; index++) {
    const weight = lengths.weights[index] ?? 0;
    const costModel = series[index];
    if (weight === 0 || costModel === undefined) continue;
    const { kind, model } = costModel;
    const cost = estimate(model, shape[kind]);
    value += weight * cost.value;
    variance += (weight * cost.standardError) ** 2;
    if (kind === "parameters") systematic = singleWidthUncertainty;
  }
  value = Math.max(0, value);
  const reach = Math.max(series.at(-1)?.tokens ?? 1, format.attention?.tokens ?? 1);
  systematic += Math.max(0, Math.log2(lengths.longest / reach)) * extrapolationUncertainty;
  const error = value === 0 ? 0 : (oneSided95 * Math.sqrt(variance) + attentionUncertainty * attention) / value;
  const uncertainty = (1 + format.relativeExcessP90) * (1 + error + systematic) - 1;
  return { value, relativeUncertainty: Math.max(uncertaintyFloor, uncertainty) };
}

/** Memory of a loaded tokenizer (ours: SmolLM2's 49,152 entries take 45 to 60 MB of JavaScript objects). */
export function tokenizerBytes({ shape }: ShapeFeatures): number {
  return 1000 * shape.vocabularySize;
}

function predictMemory(model: FormatModel, request: PredictionRequest, baseBytes: number): Prediction {
  const { shape } = request;
  const growth = estimate(model.peakGrowth, byWeights(model.peakGrowth, shape));
  const cacheBytes = shape.cacheBytesPerToken * request.contextTokens;
  const value = baseBytes + tokenizerBytes(shape) + growth.value + cacheBytes;
  return { value, relativeUncertainty: Math.max(uncertaintyFloor, (oneSided95 * growth.standardError) / value) };
}

function byWeights({ coefficients }: FormatModel["peakGrowth"], { shape }: ShapeFeatures): number[] {
  return coefficients.length === 1 ? [shape.weightBytes] : [1, shape.weightBytes];
}

function refuse(problem: Extract<PredictionResult, { ok: false }>["problem"], message: string): PredictionResult {
  return { ok: false, problem, message };
}
