import type { Kit, KitGraph } from "@espalier/shared/contracts/kit";
import type { KitTiming, Measurements, Sample } from "@espalier/shared/contracts/profile";
import { formatKey, type VariantShape } from "@espalier/shared/contracts/shape";
import { kvCacheBytes, layerParameters } from "./layer-cost.ts";
import { fitNonNegative, type LinearModel, type Observation } from "./least-squares.ts";

/**
 * What a run costs as a function of a shape, at one context or prompt length.
 * `columns`: features `[1, layers, sum of FFN sizes]`; the intercept is embedding, head and per-run overhead.
 * `parameters`: only one FFN size was measured, so a layer's cost is taken to follow its parameters: `[1, sum of parameters]`.
 */
export interface CostModel {
  kind: "columns" | "parameters";
  /** Tokens in the cache (decode) or in the prompt (prefill). */
  tokens: number;
  model: LinearModel;
}

/** A device's costs with one weight format, fitted from its own timings of the measurement kit. Times in ms. */
export interface FormatModel {
  /** Any measured shape: hidden size, heads and vocabulary must match for a prediction to mean something. */
  reference: VariantShape;
  /** Ascending in `tokens`. */
  decode: readonly CostModel[];
  prefill: readonly CostModel[];
  /** How far the 90th percentile of repeated runs lay above their median, typically. */
  relativeExcessP90: number;
  /** Peak growth of resident memory by loading and running, without the KV cache: `[1, weightBytes]` or `[weightBytes]`. */
  peakGrowth: LinearModel;
}

/** Relative standard error given to a resident-memory reading: page granularity and allocator slack (ours). */
const memoryReadingError = 0.02;

/** Key under which a format is measured: linear and embedding weights are timed together. */
export function measuredFormatKey(shape: VariantShape): string {
  return `${formatKey(shape.linearFormat)}+${formatKey(shape.embeddingFormat)}`;
}

/** Fits every format of the kit that the device timed at two depths at least. */
export function fitDevice(kit: Kit, measurements: Measurements): Map<string, FormatModel> {
  const timings = new Map((measurements.kit?.timings ?? []).map((timing) => [timing.graphId, timing]));
  const byFormat = new Map<string, { graph: KitGraph; timing: KitTiming }[]>();
  for (const graph of kit.graphs) {
    const timing = timings.get(graph.id);
    if (timing === undefined) continue;
    const key = measuredFormatKey(graph.shape);
    byFormat.set(key, [...(byFormat.get(key) ?? []), { graph, timing }]);
  }
  const models = new Map<string, FormatModel>();
  for (const [key, runs] of byFormat) {
    const model = fitFormat(runs);
    if (model !== null) models.set(key, model);
  }
  return models;
}

function fitFormat(runs: readonly { graph: KitGraph; timing: KitTiming }[]): FormatModel | null {
  const reference = runs[0]?.graph.shape;
  const decode = fitSeries(runs, (timing) =>
    timing.decode.map(({ contextTokens, ms }) => [contextTokens, ms] as const),
  );
  const prefill = fitSeries(runs, (timing) =>
    timing.prefill.map(({ promptTokens, ms }) => [promptTokens, ms] as const),
  );
  const peakGrowth = fitPeakGrowth(runs);
  if (reference === undefined || peakGrowth === null || decode.length === 0 || prefill.length === 0) return null;
  const samples = runs.flatMap(({ timing }) => [...timing.decode, ...timing.prefill].map(({ ms }) => ms));
  return {
    reference,
    decode,
    prefill,
    relativeExcessP90: median(samples.map((sample) => Math.max(0, sample.p90 / sample.median - 1))),
    peakGrowth,
  };
}

function fitSeries(
  runs: readonly { graph: KitGraph; timing: KitTiming }[],
  read: (timing: KitTiming) => readonly (readonly [number, Sample])[],
): CostModel[] {
  const lengths = [...new Set(runs.flatMap(({ timing }) => read(timing).map(([tokens]) => tokens)))];
  const models: CostModel[] = [];
  for (const tokens of lengths.sort((a, b) => a - b)) {
    const observe = (kind: CostModel["kind"]): Observation[] =>
      runs.flatMap(({ graph, timing }) => {
        const sample = read(timing).find(([length]) => length === tokens)?.[1];
        return sample === undefined ? [] : [{ features: costFeatures(kind, graph.shape), ...observed(sample) }];
      });
    for (const kind of ["columns", "parameters"] as const) {
      const model = fitNonNegative(observe(kind));
      if (model === null) continue;
      models.push({ kind, tokens, model });
      break;
    }
  }
  return models;
}

/** The features by which `kind` explains the cost of `shape`. */
export function costFeatures(kind: CostModel["kind"], shape: VariantShape): number[] {
  if (kind === "parameters") return [1, shape.layers.reduce((sum, layer) => sum + layerParameters(shape, layer), 0)];
  return [1, shape.layers.length, shape.layers.reduce((sum, layer) => sum + layer.ffnSize, 0)];
}

/** Standard error of a median of n normal values: 1.2533 sigma / sqrt(n), with sigma = IQR / 1.349. */
function observed(sample: Sample): { value: number; standardError: number } {
  const sigma = (sample.relativeSpread * sample.median) / 1.349;
  return { value: sample.median, standardError: (1.2533 * sigma) / Math.sqrt(sample.repetitions) };
}

/**
 * While a graph loads, weights may be in memory twice (as mapped and as packed for the kernels), so the peak grows with
 * the weights too, and is fitted as a whole. The cache of a kit's run is known and taken out.
 */
function fitPeakGrowth(runs: readonly { graph: KitGraph; timing: KitTiming }[]): LinearModel | null {
  const observe = (features: (bytes: number) => number[]): Observation[] =>
    runs.map(({ graph, timing }) => {
      const longest = Math.max(0, ...timing.decode.map(({ contextTokens }) => contextTokens + 1));
      const growth = timing.loadedMemoryBytes + timing.runningMemoryBytes - kvCacheBytes(graph.shape, longest);
      const value = Math.max(1, growth);
      return { features: features(graph.weightsBytes), value, standardError: memoryReadingError * value };
    });
  return fitNonNegative(observe((bytes) => [1, bytes])) ?? fitNonNegative(observe((bytes) => [bytes]));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
