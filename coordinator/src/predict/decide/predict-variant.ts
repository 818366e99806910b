import type { Prediction, VariantPrediction } from "@espalier/shared/contracts/plan";
import type { Measurements } from "@espalier/shared/contracts/profile";
import type { VariantShape } from "@espalier/shared/contracts/shape";
import { type CostModel, costFeatures, type FormatModel, measuredFormatKey } from "./device-model.ts";
import { kvCacheBytes } from "./layer-cost.ts";
import { type Estimate, estimate } from "./least-squares.ts";

/** No prediction claims to be nearer than this, however calm the measurements were (ours: the repeat-measurement floor). */
export const uncertaintyFloor = 0.05;
/** Added where a layer's cost had to be taken from its parameters, since only one FFN size was measured (ours). */
const singleWidthUncertainty = 0.1;
/** Added per doubling of the length beyond the longest measured one (ours: attention grows faster than the line). */
const extrapolationUncertainty = 0.1;
/** Agents enforce a CPU quota over periods of this length: a process that used its share up stalls for the rest of one. */
const quotaPeriodMs = 10;
/** Memory of a loaded tokenizer (ours: SmolLM2's 49,152 entries take 45 to 60 MB of JavaScript objects). */
const tokenizerBytesPerEntry = 1000;
/** One-sided 95 % quantile of the normal distribution. */
const oneSided95 = 1.645;

export interface PredictionRequest {
  /** From `fitDevice`. */
  formats: ReadonlyMap<string, FormatModel>;
  measurements: Measurements;
  /** In cores, null without one. */
  cpuQuota: number | null;
  shape: VariantShape;
  promptTokens: number;
  outputTokens: number;
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
  const { shape, measurements } = request;
  const key = measuredFormatKey(shape);
  const format = request.formats.get(key);
  if (format === undefined) {
    return refuse(
      "format-not-measured",
      `the device has not timed weights in format ${key}; measure it with a kit that has it`,
    );
  }
  const difference = shapeDifference(format.reference, shape);
  if (difference !== null) return refuse("shape-differs", `the kit was made for another shape: ${difference}`);
  if (measurements.baseMemoryBytes === null) {
    return refuse("memory-not-measured", "the device has not reported its memory without a model");
  }
  const downloadRate = measurements.downloadBytesPerSecond;
  return {
    ok: true,
    prediction: {
      tpotMs: decodePrediction(format, request),
      ttftMs: withStall(timePrediction(format, format.prefill, [request.promptTokens], shape), request.cpuQuota, 1),
      peakMemoryBytes: memoryPrediction(format, request, measurements.baseMemoryBytes),
      // While a variant is put together its chunks and its files are both there.
      diskBytes: { value: 2 * request.artifactBytes + request.previousArtifactBytes, relativeUncertainty: 0.01 },
      downloadSeconds:
        downloadRate === null || downloadRate.median <= 0
          ? null
          : {
              value: request.artifactBytes / downloadRate.median,
              relativeUncertainty: Math.max(uncertaintyFloor, downloadRate.relativeSpread),
            },
    },
  };
}

/** The first token comes from prefill; token i after it is decoded with `promptTokens + i` tokens in the cache. */
function decodePrediction(format: FormatModel, request: PredictionRequest): Prediction {
  const { shape, promptTokens, outputTokens, cpuQuota } = request;
  const steps = Math.max(1, outputTokens - 1);
  const contexts = Array.from({ length: steps }, (_, index) => promptTokens + index + 1);
  return withStall(timePrediction(format, format.decode, contexts, shape), cpuQuota, steps);
}

/** A short request under a quota may meet one whole stall more than the median one, shared by its `steps`. */
function withStall(prediction: Prediction, cpuQuota: number | null, steps: number): Prediction {
  const stallMs = cpuQuota === null ? 0 : quotaPeriodMs * Math.max(0, 1 - cpuQuota);
  const share = prediction.value === 0 ? 0 : stallMs / steps / prediction.value;
  return { ...prediction, relativeUncertainty: prediction.relativeUncertainty + share };
}

/** Mean cost over `lengths`, each interpolated linearly between the measured lengths. */
function timePrediction(
  format: FormatModel,
  series: readonly CostModel[],
  lengths: readonly number[],
  shape: VariantShape,
): Prediction {
  const costs = series.map(({ kind, tokens, model }) => ({ tokens, ...estimate(model, costFeatures(kind, shape)) }));
  const points = lengths.map((length) => interpolate(costs, length));
  const value = mean(points.map((point) => point.value));
  const relativeError = value === 0 ? 0 : (oneSided95 * mean(points.map((point) => point.standardError))) / value;
  const longest = series.at(-1)?.tokens ?? 1;
  const doublings = Math.max(0, Math.log2(Math.max(...lengths) / Math.max(1, longest)));
  const systematic =
    (series.some(({ kind }) => kind === "parameters") ? singleWidthUncertainty : 0) +
    doublings * extrapolationUncertainty;
  const uncertainty = (1 + format.relativeExcessP90) * (1 + relativeError + systematic) - 1;
  return { value, relativeUncertainty: Math.max(uncertaintyFloor, uncertainty) };
}

/** Constant below the shortest measured length (never optimistic), the last slope beyond the longest. */
function interpolate(costs: readonly (Estimate & { tokens: number })[], tokens: number): Estimate {
  const first = costs[0] ?? { tokens: 0, value: 0, standardError: 0 };
  if (costs.length < 2 || tokens <= first.tokens) return first;
  const next = costs.findIndex((cost) => cost.tokens >= tokens);
  const index = next === -1 ? costs.length - 1 : next;
  const left = costs[index - 1] ?? first;
  const right = costs[index] ?? first;
  const share = (tokens - left.tokens) / (right.tokens - left.tokens);
  return {
    value: Math.max(share > 1 ? right.value : 0, left.value + share * (right.value - left.value)),
    standardError: Math.hypot((1 - share) * left.standardError, share * right.standardError),
  };
}

function memoryPrediction(format: FormatModel, request: PredictionRequest, baseBytes: number): Prediction {
  const { shape } = request;
  const features = format.peakGrowth.coefficients.length === 1 ? [shape.weightBytes] : [1, shape.weightBytes];
  const growth = estimate(format.peakGrowth, features);
  const tokenizerBytes = tokenizerBytesPerEntry * shape.vocabularySize;
  const value = baseBytes + tokenizerBytes + growth.value + kvCacheBytes(shape, request.contextTokens);
  return { value, relativeUncertainty: Math.max(uncertaintyFloor, (oneSided95 * growth.standardError) / value) };
}

function shapeDifference(measured: VariantShape, wanted: VariantShape): string | null {
  for (const field of ["hiddenSize", "headSize", "vocabularySize"] as const) {
    if (measured[field] !== wanted[field]) return `${field} ${measured[field]}, not ${wanted[field]}`;
  }
  const heads = new Set(measured.layers.map((layer) => `${layer.heads}/${layer.kvHeads}`));
  const odd = wanted.layers.find((layer) => !heads.has(`${layer.heads}/${layer.kvHeads}`));
  return odd === undefined ? null : `heads ${[...heads].join(", ")}, not ${odd.heads}/${odd.kvHeads}`;
}

function refuse(problem: Extract<PredictionResult, { ok: false }>["problem"], message: string): PredictionResult {
  return { ok: false, problem, message };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
