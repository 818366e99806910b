import type { KitGraph } from "@espalier/shared/contracts/kit";
import type { KitTiming, Measurements, Sample } from "@espalier/shared/contracts/profile";
import { type AttentionCost, fitAttention } from "./attention-cost.ts";
import type { KitFormat, PreparedKit } from "./kit-designs.ts";
import { kvCacheBytes } from "./layer-cost.ts";
import { fitNonNegative, type LinearModel, type Measured } from "./least-squares.ts";
import type { ShapeFeatures } from "./shape-features.ts";

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
  reference: ShapeFeatures;
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

/** The model of a format by its key, fitted when first asked for; null for a format not timed at two depths at least. */
export type DeviceModel = (formatKey: string) => FormatModel | null;

export function fitDevice(kit: PreparedKit, measurements: Measurements): DeviceModel {
  const timings = new Map<string, KitTiming>();
  for (const timing of measurements.kit?.timings ?? []) timings.set(timing.graphId, timing);
  let attention: AttentionCost | null | undefined;
  const models = new Map<string, FormatModel | null>();
  return (key) => {
    const known = models.get(key);
    if (known !== undefined) return known;
    attention ??= fitAttention(
      kit.formats.flatMap((format) => runsOf(format, timings).filter((run) => run !== undefined)),
    );
    const format = kit.formats.find((candidate) => candidate.key === key);
    const model = format === undefined ? null : fitFormat(format, runsOf(format, timings), attention);
    models.set(key, model);
    return model;
  };
}

/** By graph of the format, undefined where the device timed none. */
function runsOf({ graphs }: KitFormat, timings: ReadonlyMap<string, KitTiming>): (KitRun | undefined)[] {
  return graphs.map((graph) => {
    const timing = timings.get(graph.id);
    return timing === undefined ? undefined : { graph, timing };
  });
}

function fitFormat(
  format: KitFormat,
  runs: readonly (KitRun | undefined)[],
  attention: AttentionCost | null,
): FormatModel | null {
  const decode = fitSeries(format, runs, "decode");
  const prefill = fitSeries(format, runs, "prefill");
  const peakGrowth = fitByWeights(format, runs, peakGrowthOf, memoryReadingError);
  const loadMs = fitByWeights(format, runs, ({ timing }) => timing.loadMs, loadReadingError);
  if (peakGrowth === null || loadMs === null || decode.length === 0 || prefill.length === 0) return null;
  const excesses = runs.flatMap((run) =>
    run === undefined ? [] : [...run.timing.decode, ...run.timing.prefill].map(({ ms }) => ms.p90 / ms.median - 1),
  );
  const relativeExcessP90 = Math.max(0, median(excesses));
  return { reference: format.reference, decode, prefill, attention, relativeExcessP90, peakGrowth, loadMs };
}

/** One model per length that enough graphs were timed at. */
function fitSeries(format: KitFormat, runs: readonly (KitRun | undefined)[], what: "decode" | "prefill"): CostModel[] {
  /** By length: which graphs (as bits), and what they took. */
  const byLength = new Map<number, { timed: number; measured: Measured[] }>();
  runs.forEach((run, index) => {
    for (const point of run?.timing[what] ?? []) {
      const tokens = "contextTokens" in point ? point.contextTokens : point.promptTokens;
      const atLength = byLength.get(tokens) ?? { timed: 0, measured: [] };
      atLength.timed |= 1 << index;
      atLength.measured.push(observed(point.ms));
      byLength.set(tokens, atLength);
    }
  });
  const models: CostModel[] = [];
  for (const [tokens, { timed, measured }] of byLength) {
    for (const kind of ["columns", "parameters"] as const) {
      const model = fitNonNegative(format.design(kind, timed), measured);
      if (model === null) continue;
      models.push({ kind, tokens, model });
      break;
    }
  }
  return models.sort((a, b) => a.tokens - b.tokens);
}

/** Standard error of a median of n normal values: 1.2533 sigma / sqrt(n), with sigma = IQR / 1.349. */
function observed(sample: Sample): Measured {
  const sigma = (sample.relativeSpread * sample.median) / 1.349;
  return { value: sample.median, standardError: (1.2533 * sigma) / Math.sqrt(sample.repetitions) };
}

/**
 * While a graph loads, weights may be in memory twice (as mapped and as packed for the kernels), so the peak grows with
 * the weights too, and is fitted as a whole. The cache of a kit's run is known and taken out.
 */
function peakGrowthOf({ graph, timing }: KitRun): number {
  let longest = timing.cacheTokens;
  for (const { contextTokens } of timing.decode) longest = Math.max(longest, contextTokens + 1);
  return timing.loadedMemoryBytes + timing.runningMemoryBytes - kvCacheBytes(graph.shape, longest);
}

/** A quantity that grows with the bytes of the weights, from an intercept where the runs determine one. */
function fitByWeights(
  format: KitFormat,
  runs: readonly (KitRun | undefined)[],
  read: (run: KitRun) => number,
  relativeError: number,
): LinearModel | null {
  let timed = 0;
  const measured: Measured[] = [];
  runs.forEach((run, index) => {
    if (run === undefined) return;
    timed |= 1 << index;
    const value = Math.max(1, read(run));
    measured.push({ value, standardError: relativeError * value });
  });
  return (
    fitNonNegative(format.design("weights", timed), measured) ?? fitNonNegative(format.design("bytes", timed), measured)
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
