import type { KitTiming, Measurements, Sample } from "@espalier/shared/contracts/profile";
import { type AttentionCost, fitAttention } from "./attention-cost.ts";
import type { PreparedKit } from "./kit-designs.ts";
import { type Design, emptyModel, fitNonNegative, type LinearModel } from "./least-squares.ts";
import type { RequestLengths } from "./length-weights.ts";
import { cacheBytes, loadMsOf, loadPeakOf, meanOf, servingOf } from "./load-readings.ts";
import { RequestCost } from "./request-costs.ts";
import { createSpreads, medianVariance, type RunSpread, type RunSpreads, unknownSpreads } from "./run-spread.ts";
import type { FormatLayout, SeriesLayout, TimingLayout } from "./timing-layout.ts";

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
  /** The same for all formats. */
  spreads: RunSpreads;
  /** Of one number in the KV cache, with weights of this format. */
  cacheElementBytes: number;
  /** What the two below are explained by. */
  byWeights: "weights" | "bytes";
  /** Growth of resident memory at the highest while loading, and while serving, without the KV cache. */
  loadPeak: LinearModel;
  serving: LinearModel;
  loadMs: LinearModel;
  /** What a request of these lengths costs. */
  costsOf(lengths: RequestLengths): RequestCosts;
}

export interface RequestCosts {
  /** Of an output token. */
  decode: RequestCost;
  /** Of the first one. */
  prefill: RequestCost;
}

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
  const places = new Map<TimingLayout, Places>();
  return ({ kit: measured }) => {
    const timings = measured?.timings ?? [];
    const layout = kit.layoutOf(timings);
    let known = places.get(layout);
    if (known === undefined) {
      const slots = new Map(layout.formats.map((format) => [format.format.key, createSlot(format)]));
      known = { formats: slots, spreadsOf: createSpreads(layout) };
      places.set(layout, known);
    }
    const { formats, spreadsOf } = known;
    const attention = layout.attention === null ? null : fitAttention(layout.attention, timings);
    const common = { attention, spreads: spreadsOf(timings) };
    for (const slot of formats.values()) if (slot !== null) fill(slot, timings, common);
    return (key) => {
      const slot = formats.get(key);
      return slot?.fitted ? slot.model : null;
    };
  };
}

/** Where the numbers of devices go that were timed alike. */
interface Places {
  formats: ReadonlyMap<string, Slot | null>;
  spreadsOf: ReturnType<typeof createSpreads>;
}

/** The same for all formats of a device. */
type CommonCosts = Pick<FormatModel, "attention" | "spreads">;

/** Where the numbers of one format go. */
interface Slot {
  model: FormatModel;
  fitted: boolean;
  /** For which lengths the request's costs were put together since the last fit. */
  lengths: RequestLengths | null;
  decode: readonly SeriesLayout[];
  prefill: readonly SeriesLayout[];
  byWeights: Design;
}

/** Null where the timed graphs determine no model. */
function createSlot(layout: FormatLayout): Slot | null {
  const { decode, prefill, byWeights } = layout;
  const loadPeak = byWeights === null ? null : emptyModel(byWeights.design);
  const serving = byWeights === null ? null : emptyModel(byWeights.design);
  const loadMs = byWeights === null ? null : emptyModel(byWeights.design);
  if (byWeights === null || loadPeak === null || serving === null || loadMs === null) return null;
  if (decode.length === 0 || prefill.length === 0) return null;
  const costs: RequestCosts = { decode: new RequestCost(), prefill: new RequestCost() };
  const slot: Slot = {
    model: {
      layout,
      decode: emptySeries(decode),
      prefill: emptySeries(prefill),
      attention: null,
      spreads: unknownSpreads,
      cacheElementBytes: 0,
      byWeights: byWeights.kind,
      loadPeak,
      serving,
      loadMs,
      costsOf(lengths) {
        if (slot.lengths !== lengths) putTogether(costs, slot.model, lengths);
        slot.lengths = lengths;
        return costs;
      },
    },
    fitted: false,
    lengths: null,
    decode,
    prefill,
    byWeights: byWeights.design,
  };
  return slot;
}

function putTogether({ decode, prefill }: RequestCosts, model: FormatModel, lengths: RequestLengths): void {
  const { attention, spreads } = model;
  const of = lengths.of(model.layout);
  const share = (ms: number | undefined) => (attention === null ? null : { ms: ms ?? 0, tokens: attention.tokens });
  decode.set(model.decode, of.decode, spreads.decode, share(attention?.decodeMs));
  prefill.set(model.prefill, of.prefill, spreads.prefill, share(attention?.prefillMs));
}

function emptySeries(series: readonly SeriesLayout[]): CostModel[] {
  return series.flatMap(({ kind, tokens, design }) => {
    const model = emptyModel(design);
    return model === null ? [] : [{ kind, tokens, model }];
  });
}

function fill(slot: Slot, timings: readonly KitTiming[], common: CommonCosts): void {
  const { attention, spreads } = common;
  const { model, byWeights } = slot;
  const { timed } = model.layout;
  model.cacheElementBytes = 0;
  for (let n = 0; n < timed.length; n++) {
    const graph = timed[n];
    const timing = graph === undefined ? undefined : timings[graph.timing];
    if (graph === undefined || timing === undefined) continue;
    const again = graph.again === null ? undefined : timings[graph.again];
    const runs = again === undefined ? 1 : 2;
    model.cacheElementBytes = Math.max(model.cacheElementBytes, timing.cacheElementBytes);
    const memoryError = spreads.memory.relative / Math.sqrt(runs);
    const loadPeak = meanOf(timing, again, loadPeakOf);
    setReading(model.loadPeak, n, loadPeak, memoryError * loadPeak);
    const serving = Math.max(1, meanOf(timing, again, servingOf) - cacheBytes(graph, timing));
    setReading(model.serving, n, serving, memoryError * serving);
    const loadMs = meanOf(timing, again, loadMsOf);
    setReading(model.loadMs, n, loadMs, loadReadingError * loadMs);
  }
  slot.lengths = null;
  model.attention = attention;
  model.spreads = spreads;
  slot.fitted =
    fitNonNegative(byWeights, model.loadPeak) &&
    fitNonNegative(byWeights, model.serving) &&
    fitNonNegative(byWeights, model.loadMs) &&
    fitSeries(model.decode, slot.decode, spreads.decode, (timing, point) => timings[timing]?.decode[point]?.ms) &&
    fitSeries(model.prefill, slot.prefill, spreads.prefill, (timing, point) => timings[timing]?.prefill[point]?.ms);
}

function fitSeries(
  models: readonly CostModel[],
  series: readonly SeriesLayout[],
  spread: RunSpread,
  sampleAt: (timing: number, point: number) => Sample | undefined,
): boolean {
  for (let length = 0; length < series.length; length++) {
    const [model, layout] = [models[length]?.model, series[length]];
    if (model === undefined || layout === undefined) return false;
    for (let n = 0; n < layout.places.length; n++) {
      const place = layout.places[n];
      const first = place === undefined ? undefined : sampleAt(place.timing, place.point);
      if (place === undefined || first === undefined) return false;
      const second = place.again === null ? undefined : sampleAt(place.again, place.point);
      setSamples(model, n, first, second, spread);
    }
    if (!fitNonNegative(layout.design, model)) return false;
  }
  return true;
}

function setReading({ values, errors }: LinearModel, n: number, value: number, standardError: number): void {
  values[n] = value;
  errors[n] = standardError;
}

/**
 * The mean of both runs, each weighted by the inverse of its variance: of runs on this device, and of the median of its own
 * repetitions (random effects; DerSimonian and Laird 1986).
 */
function setSamples(model: LinearModel, n: number, first: Sample, second: Sample | undefined, spread: RunSpread): void {
  const { relative } = spread;
  const one = first.median * first.median * (relative * relative + medianVariance(first));
  if (second === undefined) {
    setReading(model, n, first.median, Math.sqrt(one));
    return;
  }
  const other = second.median * second.median * (relative * relative + medianVariance(second));
  const sum = one + other;
  const share = sum === 0 ? 0.5 : other / sum;
  const error = sum === 0 ? 0 : Math.sqrt((one * other) / sum);
  setReading(model, n, share * first.median + (1 - share) * second.median, error);
}
