import type { Kit, KitGraph } from "@espalier/shared/contracts/kit";
import type { KitTiming, Measurements, Sample } from "@espalier/shared/contracts/profile";
import { formatKey, type VariantShape } from "@espalier/shared/contracts/shape";
import { type AttentionCost, fitAttention } from "./attention-cost.ts";
import { ffnColumns, kvCacheBytes, layerParameters } from "./layer-cost.ts";
import { fitNonNegative, type LinearModel, type Observation } from "./least-squares.ts";

/**
 * What a run costs as a function of a shape, at one context or prompt length.
 * `columns`: features `[1, layers, sum of FFN columns]`; the intercept is embedding, head and per-run overhead.
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
  /** Ascending in `tokens`; the agent processes longer prompts in pieces of the longest. */
  prefill: readonly CostModel[];
  /** Beyond the lengths above; null where no long context was timed. The same for all formats. */
  attention: AttentionCost | null;
  /** How far the 90th percentile of repeated runs lay above their median, typically. */
  relativeExcessP90: number;
  /** Peak growth of resident memory by loading and running, without the KV cache: `[1, weightBytes]` or `[weightBytes]`. */
  peakGrowth: LinearModel;
  /** Time to load: features as `peakGrowth`'s. */
  loadMs: LinearModel;
}

/** One graph of the kit and what the device timed on it. */
export interface KitRun {
  graph: KitGraph;
  timing: KitTiming;
}

/** Relative standard error given to a resident-memory reading: page granularity and allocator slack (ours). */
const memoryReadingError = 0.02;
/** Relative standard error given to one load (ours: they are timed once). */
const loadReadingError = 0.1;

/** Key under which a format is measured: linear and embedding weights are timed together. */
export function measuredFormatKey(shape: VariantShape): string {
  return `${formatKey(shape.linearFormat)}+${formatKey(shape.embeddingFormat)}`;
}

/** Fits every format of the kit that the device timed at two depths at least. */
export function fitDevice(kit: Kit, measurements: Measurements): Map<string, FormatModel> {
  const timings = new Map((measurements.kit?.timings ?? []).map((timing) => [timing.graphId, timing]));
  const runs: KitRun[] = kit.graphs.flatMap((graph) => {
    const timing = timings.get(graph.id);
    return timing === undefined ? [] : [{ graph, timing }];
  });
  const attention = fitAttention(runs);
  const models = new Map<string, FormatModel>();
  for (const [key, ofFormat] of Map.groupBy(runs, ({ graph }) => measuredFormatKey(graph.shape))) {
    const model = fitFormat(ofFormat, attention);
    if (model !== null) models.set(key, model);
  }
  return models;
}

function fitFormat(runs: readonly KitRun[], attention: AttentionCost | null): FormatModel | null {
  const reference = runs[0]?.graph.shape;
  const decode = fitSeries(runs, ({ decode: points }) => points.map((point) => [point.contextTokens, point.ms]));
  const prefill = fitSeries(runs, ({ prefill: points }) => points.map((point) => [point.promptTokens, point.ms]));
  const peakGrowth = fitPeakGrowth(runs);
  const loadMs = fitByWeights(runs, ({ timing }) => timing.loadMs, loadReadingError);
  if (reference === undefined || peakGrowth === null || loadMs === null) return null;
  if (decode.length === 0 || prefill.length === 0) return null;
  const samples = runs.flatMap(({ timing }) => [...timing.decode, ...timing.prefill].map(({ ms }) => ms));
  return {
    reference,
    decode,
    prefill,
    attention,
    relativeExcessP90: median(samples.map((sample) => Math.max(0, sample.p90 / sample.median - 1))),
    peakGrowth,
    loadMs,
  };
}

/** One model per length that enough graphs were timed at. */
function fitSeries(
  runs: readonly KitRun[],
  read: (timing: KitTiming) => readonly (readonly [number, Sample])[],
): CostModel[] {
  const points = runs.flatMap(({ graph, timing }) =>
    read(timing).map(([tokens, sample]) => ({ shape: graph.shape, tokens, ...observed(sample) })),
  );
  const models: CostModel[] = [];
  for (const [tokens, atLength] of [...Map.groupBy(points, (point) => point.tokens)].sort(([a], [b]) => a - b)) {
    for (const kind of ["columns", "parameters"] as const) {
      const model = fitNonNegative(
        atLength.map(({ shape, ...point }) => ({ ...point, features: costFeatures(kind, shape) })),
      );
      if (model === null) continue;
      models.push({ kind, tokens, model });
      break;
    }
  }
  return models;
}

/** The features by which `kind` explains the cost of `shape`. */
export function costFeatures(kind: CostModel["kind"], shape: VariantShape): number[] {
  const { layers } = shape;
  if (kind === "parameters") return [1, layers.reduce((sum, layer) => sum + layerParameters(shape, layer), 0)];
  return [1, layers.length, layers.reduce((sum, layer) => sum + ffnColumns(shape, layer), 0)];
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
function fitPeakGrowth(runs: readonly KitRun[]): LinearModel | null {
  const growth = ({ graph, timing }: KitRun): number => {
    const longest = Math.max(timing.cacheTokens, ...timing.decode.map(({ contextTokens }) => contextTokens + 1));
    return timing.loadedMemoryBytes + timing.runningMemoryBytes - kvCacheBytes(graph.shape, longest);
  };
  return fitByWeights(runs, growth, memoryReadingError);
}

/** A quantity that grows with the bytes of the weights, from an intercept where the runs determine one. */
function fitByWeights(
  runs: readonly KitRun[],
  read: (run: KitRun) => number,
  relativeError: number,
): LinearModel | null {
  const observe = (features: (bytes: number) => number[]): Observation[] =>
    runs.map((run) => {
      const value = Math.max(1, read(run));
      return { features: features(run.graph.weightsBytes), value, standardError: relativeError * value };
    });
  return fitNonNegative(observe((bytes) => [1, bytes])) ?? fitNonNegative(observe((bytes) => [bytes]));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
