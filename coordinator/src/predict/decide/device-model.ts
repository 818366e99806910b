import type { KitTiming, Measurements, Sample } from "@espalier/shared/contracts/profile";
import { type AttentionCost, fitAttention } from "./attention-cost.ts";
import type { PreparedKit } from "./kit-designs.ts";
import { type Design, emptyModel, fitNonNegative, type LinearModel } from "./least-squares.ts";
import type { FormatLayout, SeriesLayout, TimedGraph, TimingLayout } from "./timing-layout.ts";

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
  layout: FormatLayout;
  /** Ascending in `tokens`. */
  decode: readonly CostModel[];
  /** Ascending in `tokens`; the agent processes longer prompts in pieces of the longest. */
  prefill: readonly CostModel[];
  /** Beyond the lengths above; null where no long context was timed. The same for all formats. */
  attention: AttentionCost | null;
  /** How far the 90th percentile of repeated runs lay above their median, typically. */
  relativeExcessP90: number;
  /** Of one number in the KV cache, with weights of this format. */
  cacheElementBytes: number;
  /** What the two below are explained by. */
  byWeights: "weights" | "bytes";
  /** Peak growth of resident memory by loading and running, without the KV cache. */
  peakGrowth: LinearModel;
  loadMs: LinearModel;
}

/** Relative standard error given to a resident-memory reading: page granularity and allocator slack (ours). */
const memoryReadingError = 0.02;
/** Relative standard error given to one load (ours: they are timed once). */
const loadReadingError = 0.1;

/** The model of a format by its key; null for a format not timed at two depths at least. */
export type DeviceModel = (formatKey: string) => FormatModel | null;

/** Fits one device. */
export function fitDevice(kit: PreparedKit, measurements: Pick<Measurements, "kit">): DeviceModel {
  return createFitter(kit)(measurements);
}

/** Fits one device after another into the same memory: a model holds until the next device is fitted. */
export function createFitter(kit: PreparedKit): (measurements: Pick<Measurements, "kit">) => DeviceModel {
  const slots = new Map<TimingLayout, ReadonlyMap<string, Slot | null>>();
  return ({ kit: measured }) => {
    const timings = measured?.timings ?? [];
    const layout = kit.layoutOf(timings);
    let formats = slots.get(layout);
    if (formats === undefined) {
      formats = new Map(layout.formats.map((format) => [format.format.key, createSlot(format)]));
      slots.set(layout, formats);
    }
    const attention = layout.attention === null ? null : fitAttention(layout.attention, timings);
    for (const slot of formats.values()) if (slot !== null) fill(slot, timings, attention);
    return (key) => {
      const slot = formats.get(key);
      return slot?.fitted ? slot.model : null;
    };
  };
}

/** Where the numbers of one format go. */
interface Slot {
  model: FormatModel;
  fitted: boolean;
  decode: readonly SeriesLayout[];
  prefill: readonly SeriesLayout[];
  byWeights: Design;
  /** One for each sample of the format. */
  excesses: Float64Array;
}

/** Null where the timed graphs determine no model. */
function createSlot(layout: FormatLayout): Slot | null {
  const { decode, prefill, byWeights, samples } = layout;
  const peakGrowth = byWeights === null ? null : emptyModel(byWeights.design);
  const loadMs = byWeights === null ? null : emptyModel(byWeights.design);
  if (byWeights === null || peakGrowth === null || loadMs === null) return null;
  if (decode.length === 0 || prefill.length === 0) return null;
  return {
    model: {
      layout,
      decode: emptySeries(decode),
      prefill: emptySeries(prefill),
      attention: null,
      relativeExcessP90: 0,
      cacheElementBytes: 0,
      byWeights: byWeights.kind,
      peakGrowth,
      loadMs,
    },
    fitted: false,
    decode,
    prefill,
    byWeights: byWeights.design,
    excesses: new Float64Array(samples),
  };
}

function emptySeries(series: readonly SeriesLayout[]): CostModel[] {
  return series.flatMap(({ kind, tokens, design }) => {
    const model = emptyModel(design);
    return model === null ? [] : [{ kind, tokens, model }];
  });
}

function fill(slot: Slot, timings: readonly KitTiming[], attention: AttentionCost | null): void {
  const { model, byWeights, excesses } = slot;
  const { timed } = model.layout;
  let samples = 0;
  model.cacheElementBytes = 0;
  for (let n = 0; n < timed.length; n++) {
    const graph = timed[n];
    const timing = graph === undefined ? undefined : timings[graph.timing];
    if (graph === undefined || timing === undefined) continue;
    model.cacheElementBytes = Math.max(model.cacheElementBytes, timing.cacheElementBytes);
    setReading(model.peakGrowth, n, peakGrowthOf(graph, timing), memoryReadingError);
    setReading(model.loadMs, n, timing.loadMs, loadReadingError);
    for (const { ms } of timing.decode) excesses[samples++] = ms.p90 / ms.median - 1;
    for (const { ms } of timing.prefill) excesses[samples++] = ms.p90 / ms.median - 1;
  }
  model.attention = attention;
  model.relativeExcessP90 = Math.max(0, medianOfSorted(excesses.sort()));
  slot.fitted =
    fitNonNegative(byWeights, model.peakGrowth) &&
    fitNonNegative(byWeights, model.loadMs) &&
    fitSeries(model.decode, slot.decode, (timing, point) => timings[timing]?.decode[point]?.ms) &&
    fitSeries(model.prefill, slot.prefill, (timing, point) => timings[timing]?.prefill[point]?.ms);
}

function fitSeries(
  models: readonly CostModel[],
  series: readonly SeriesLayout[],
  sampleAt: (timing: number, point: number) => Sample | undefined,
): boolean {
  for (let length = 0; length < series.length; length++) {
    const [model, layout] = [models[length]?.model, series[length]];
    if (model === undefined || layout === undefined) return false;
    for (let n = 0; n < layout.places.length; n++) {
      const place = layout.places[n];
      const sample = place === undefined ? undefined : sampleAt(place.timing, place.point);
      if (sample === undefined) return false;
      model.values[n] = sample.median;
      model.errors[n] = standardError(sample);
    }
    if (!fitNonNegative(layout.design, model)) return false;
  }
  return true;
}

function setReading({ values, errors }: LinearModel, n: number, read: number, relativeError: number): void {
  const value = Math.max(1, read);
  values[n] = value;
  errors[n] = relativeError * value;
}

/** Of a median of n normal values: 1.2533 sigma / sqrt(n), with sigma = IQR / 1.349. */
function standardError({ relativeSpread, median, repetitions }: Sample): number {
  const sigma = (relativeSpread * median) / 1.349;
  return (1.2533 * sigma) / Math.sqrt(repetitions);
}

/**
 * While a graph loads, weights may be in memory twice (as mapped and as packed for the kernels), so the peak grows with
 * the weights too, and is fitted as a whole. The cache of a kit's run is known and taken out.
 */
function peakGrowthOf({ cacheElementsPerToken }: TimedGraph, timing: KitTiming): number {
  let longest = timing.cacheTokens;
  for (const { contextTokens } of timing.decode) longest = Math.max(longest, contextTokens + 1);
  const cacheBytes = timing.cacheElementBytes * cacheElementsPerToken * longest;
  return timing.loadedMemoryBytes + timing.runningMemoryBytes - cacheBytes;
}

function medianOfSorted(sorted: Float64Array): number {
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
