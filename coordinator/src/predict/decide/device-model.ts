import type { KitTiming, Measurements } from "@espalier/shared/contracts/profile";
import { type AttentionCost, fitAttention } from "./attention-cost.ts";
import type { PreparedKit } from "./kit-designs.ts";
import { LengthCost } from "./length-cost.ts";
import type { RequestLengths } from "./length-weights.ts";
import { RequestCost } from "./request-costs.ts";
import { createSpreads, type RunSpreads, unknownSpreads } from "./run-spread.ts";
import type { SampleReader, Samples } from "./samples.ts";
import type { FormatLayout, SeriesLayout, TimingLayout } from "./timing-layout.ts";
import { emptyWeightCosts, fitWeightCosts, type WeightCosts } from "./weight-costs.ts";

/** A device's costs with one weight format, fitted from its own timings of the measurement kit. Times in ms. */
export interface FormatModel {
  layout: FormatLayout;
  /** Ascending in `tokens`. */
  decode: readonly LengthCost[];
  /** Ascending in `tokens`; the agent processes longer prompts in pieces of the longest. */
  prefill: readonly LengthCost[];
  /** Beyond the lengths above; null where no long context was timed. The same for all formats. */
  attention: AttentionCost | null;
  /** The same for all formats. */
  spreads: RunSpreads;
  /** Of one number in the KV cache, with weights of this format. */
  cacheElementBytes: number;
  weights: WeightCosts;
  /** What a request of these lengths costs. */
  costsOf(lengths: RequestLengths): RequestCosts;
}

export interface RequestCosts {
  /** Of an output token. */
  decode: RequestCost;
  /** Of the first one. */
  prefill: RequestCost;
}

/** The model of a format by its key; null for a format not timed at two depths at least. One for all devices timed alike. */
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
      const slots = new Map(layout.formats.map((format) => [format.format.key, createSlot(format, layout.samples)]));
      known = { formats: slots, spreadsOf: createSpreads(layout), modelOf: (key) => slots.get(key)?.model ?? null };
      places.set(layout, known);
    }
    const { formats, spreadsOf, modelOf } = known;
    const { samples } = layout;
    const attention = layout.attention === null ? null : fitAttention(layout.attention, samples);
    const common = { attention, spreads: spreadsOf(timings) };
    for (const slot of formats.values()) if (slot !== null) fill(slot, timings, common);
    return modelOf;
  };
}

/** Where the numbers of devices go that were timed alike. */
interface Places {
  formats: ReadonlyMap<string, Slot | null>;
  spreadsOf: ReturnType<typeof createSpreads>;
  modelOf: DeviceModel;
}

/** The same for all formats of a device. */
type CommonCosts = Pick<FormatModel, "attention" | "spreads">;

/** Where the numbers of one format go. */
interface Slot {
  model: FormatModel;
  /** For which lengths the request's costs were put together since the last fit. */
  lengths: RequestLengths | null;
}

/** Null where the timed graphs determine no model. */
function createSlot(layout: FormatLayout, samples: SampleReader): Slot | null {
  const decode = lengthCosts(layout.decode, samples.decode);
  const prefill = lengthCosts(layout.prefill, samples.prefill);
  const weights = emptyWeightCosts(layout);
  if (weights === null || decode.length === 0 || prefill.length === 0) return null;
  const costs: RequestCosts = { decode: new RequestCost(decode), prefill: new RequestCost(prefill) };
  const slot: Slot = {
    model: {
      layout,
      decode,
      prefill,
      attention: null,
      spreads: unknownSpreads,
      cacheElementBytes: 0,
      weights,
      costsOf(lengths) {
        if (slot.lengths !== lengths) putTogether(costs, slot.model, lengths);
        slot.lengths = lengths;
        return costs;
      },
    },
    lengths: null,
  };
  return slot;
}

function putTogether({ decode, prefill }: RequestCosts, model: FormatModel, lengths: RequestLengths): void {
  const { attention, spreads } = model;
  const of = lengths.of(model.layout);
  decode.set(of.decode, spreads.decode, attention?.decodeMs ?? 0);
  prefill.set(of.prefill, spreads.prefill, attention?.prefillMs ?? 0);
}

function lengthCosts(series: readonly SeriesLayout[], samples: Samples): LengthCost[] {
  return series.map((layout) => LengthCost.of(layout, samples)).filter((cost) => cost !== null);
}

function fill(slot: Slot, timings: readonly KitTiming[], common: CommonCosts): void {
  const { attention, spreads } = common;
  const { model } = slot;
  model.cacheElementBytes = 0;
  for (const { timing } of model.layout.timed) {
    model.cacheElementBytes = Math.max(model.cacheElementBytes, timings[timing]?.cacheElementBytes ?? 0);
  }
  slot.lengths = null;
  model.attention = attention;
  model.spreads = spreads;
  fitWeightCosts(model.weights, model.layout, timings, spreads.memory.relative);
  for (const cost of model.decode) cost.renew(spreads.decode);
  for (const cost of model.prefill) cost.renew(spreads.prefill);
}
