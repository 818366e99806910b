import type { KitTiming } from "@espalier/shared/contracts/profile";
import { type AttentionLayout, attentionLayout } from "./attention-cost.ts";
import type { FeatureKind, KitFormat, KitGraphShape } from "./kit-designs.ts";
import { kvCacheElements } from "./layer-cost.ts";
import type { Design } from "./least-squares.ts";
import { type ShapeFeatures, shapeDifference } from "./shape-features.ts";

/**
 * Which graphs a device timed at which lengths, and what follows from that alone. A fleet's devices time the same kit, so a
 * few layouts describe them all, and fitting one more device is reading its numbers from known places.
 */
export interface TimingLayout {
  /** In the kit's order. */
  formats: readonly FormatLayout[];
  attention: AttentionLayout | null;
  /** Graphs that were timed twice, with points of equal lengths. */
  repeated: readonly Visits[];
  /** Points of all timings. */
  samples: { decode: number; prefill: number };
  describes(timings: readonly KitTiming[]): boolean;
}

export interface FormatLayout {
  format: KitFormat;
  /** Ascending in `tokens`, as `prefill`. */
  decode: readonly SeriesLayout[];
  prefill: readonly SeriesLayout[];
  /** The format's graphs that were timed, and the index of each one's timing. */
  timed: readonly TimedGraph[];
  /** For what grows with the weights' bytes; null where too few graphs were timed. */
  byWeights: { kind: "weights" | "bytes"; design: Design } | null;
  attentionKnown: boolean;
  /** Why costs measured on the format's graphs say nothing about a shape; null when they do. */
  differenceFrom(shape: ShapeFeatures): string | null;
}

/** Where a graph's timing is, and that of its second visit, if there was one. */
export interface Visits {
  timing: number;
  again: number | null;
}

export interface TimedGraph extends Visits {
  graph: KitGraphShape;
  cacheElementsPerToken: number;
}

/** The points of one length. */
export interface SeriesLayout {
  kind: "columns" | "parameters";
  tokens: number;
  design: Design;
  /** One for each observation of the design. */
  places: readonly (Visits & { point: number })[];
}

export function layOutTimings(formats: readonly KitFormat[], timings: readonly KitTiming[]): TimingLayout {
  const visits = visitsOf(timings);
  const timed = formats.map(({ graphs }) =>
    graphs.flatMap((graph, index) => {
      const found = visits.get(graph.id);
      return found === undefined ? [] : [{ graph, index, ...found }];
    }),
  );
  const attention = attentionLayout(timed.flat(), timings);
  return {
    attention,
    repeated: [...visits.values()].filter(({ again }) => again !== null),
    samples: {
      decode: timings.reduce((sum, { decode }) => sum + decode.length, 0),
      prefill: timings.reduce((sum, { prefill }) => sum + prefill.length, 0),
    },
    formats: formats.map((format, at): FormatLayout => {
      const graphs = timed[at] ?? [];
      const series = (what: "decode" | "prefill") =>
        layOutSeries(
          format,
          graphs.map((graph) => ({ ...graph, lengths: lengthsOf(timings[graph.timing], what) })),
        );
      return {
        format,
        decode: series("decode"),
        prefill: series("prefill"),
        timed: graphs.map(({ graph, timing, again }) => ({
          graph,
          cacheElementsPerToken: kvCacheElements(graph.shape, 1),
          timing,
          again,
        })),
        byWeights: determined(
          format,
          ["weights", "bytes"],
          graphs.reduce((bits, { index }) => bits | (1 << index), 0),
        ),
        attentionKnown: attention !== null,
        differenceFrom: rememberedBy((shape) => shapeDifference(format.reference, shape)),
      };
    }),
    describes: (others) => timedAlike(timings, others),
  };
}

/** By graph: its first timing, and the first further one that has the same points. */
function visitsOf(timings: readonly KitTiming[]): Map<string, Visits> {
  const visits = new Map<string, Visits>();
  timings.forEach((timing, position) => {
    const { graphId } = timing;
    const first = visits.get(graphId);
    if (first === undefined) visits.set(graphId, { timing: position, again: null });
    else if (first.again === null && samePoints(timings[first.timing], timing)) first.again = position;
  });
  return visits;
}

function rememberedBy<Key extends object, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const known = new Map<Key, Value>();
  return (key) => {
    const before = known.get(key);
    if (before !== undefined) return before;
    const made = make(key);
    known.set(key, made);
    return made;
  };
}

/** One series per length that enough graphs were timed at. */
function layOutSeries(
  format: KitFormat,
  graphs: readonly (Visits & { index: number; lengths: readonly number[] })[],
): SeriesLayout[] {
  const lengths = new Set(graphs.flatMap((graph) => graph.lengths));
  return [...lengths]
    .sort((a, b) => a - b)
    .flatMap((tokens): SeriesLayout[] => {
      const at = graphs.filter((graph) => graph.lengths.includes(tokens));
      const timed = at.reduce((bits, { index }) => bits | (1 << index), 0);
      const found = determined(format, ["columns", "parameters"], timed);
      const places = at.map(({ timing, again, lengths: its }) => ({ timing, again, point: its.indexOf(tokens) }));
      return found === null ? [] : [{ ...found, tokens, places }];
    });
}

/** The first kind of features whose coefficients the timed graphs determine. */
function determined<Kind extends FeatureKind>(
  format: KitFormat,
  kinds: readonly Kind[],
  timed: number,
): { kind: Kind; design: Design } | null {
  for (const kind of kinds) {
    const design = format.design(kind, timed);
    const all = (1 << design.features) - 1;
    if (all > 0 && design.projection(all) !== null) return { kind, design };
  }
  return null;
}

function lengthsOf(timing: KitTiming | undefined, what: "decode" | "prefill"): number[] {
  return what === "decode"
    ? (timing?.decode ?? []).map(({ contextTokens }) => contextTokens)
    : (timing?.prefill ?? []).map(({ promptTokens }) => promptTokens);
}

function timedAlike(a: readonly KitTiming[], b: readonly KitTiming[]): boolean {
  if (a.length !== b.length) return false;
  for (let n = 0; n < a.length; n++) {
    const one = a[n];
    const other = b[n];
    if (one?.graphId !== other?.graphId || !samePoints(one, other)) return false;
  }
  return true;
}

function samePoints(one: KitTiming | undefined, other: KitTiming | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  if (one.decode.length !== other.decode.length || one.prefill.length !== other.prefill.length) return false;
  for (let i = 0; i < one.decode.length; i++) {
    if (one.decode[i]?.contextTokens !== other.decode[i]?.contextTokens) return false;
  }
  for (let i = 0; i < one.prefill.length; i++) {
    if (one.prefill[i]?.promptTokens !== other.prefill[i]?.promptTokens) return false;
  }
  return true;
}
