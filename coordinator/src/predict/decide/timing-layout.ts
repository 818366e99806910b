import type { KitTiming } from "@espalier/shared/contracts/profile";
import { type AttentionLayout, attentionLayout } from "./attention-cost.ts";
import type { FeatureKind, KitFormat, KitGraphShape } from "./kit-designs.ts";
import { kvCacheElements } from "./layer-cost.ts";
import type { Design } from "./least-squares.ts";
import { type SamplePlace, SampleReader } from "./samples.ts";
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
  repeated: readonly RepeatedGraph[];
  /** Of the device that was read last. */
  samples: SampleReader;
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
  /** The longest context that was timed; null where none went beyond what all graphs were timed at. */
  attentionTokens: number | null;
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

/** The two visits to a graph, and their samples. */
export interface RepeatedGraph {
  timing: number;
  again: number;
  decode: readonly SamplePlace[];
  prefill: readonly SamplePlace[];
}

/** The points of one length. */
export interface SeriesLayout {
  kind: "columns" | "parameters";
  tokens: number;
  design: Design;
  /** One for each observation of the design. */
  places: readonly SamplePlace[];
}

export function layOutTimings(formats: readonly KitFormat[], timings: readonly KitTiming[]): TimingLayout {
  const samples = new SampleReader(timings);
  const visits = visitsOf(timings);
  const timed = formats.map(({ graphs }) =>
    graphs.flatMap((graph, index) => {
      const found = visits.get(graph.id);
      return found === undefined ? [] : [{ graph, index, ...found }];
    }),
  );
  const attention = attentionLayout(timed.flat(), timings, samples);
  return {
    attention,
    repeated: [...visits.values()].flatMap(({ timing, again }) => {
      if (again === null) return [];
      const places = (what: "decode" | "prefill") =>
        lengthsOf(timings[timing], what).map((_, point) => samples.place(what, { timing, again }, point));
      return [{ timing, again, decode: places("decode"), prefill: places("prefill") }];
    }),
    samples,
    formats: formats.map((format, at): FormatLayout => {
      const graphs = timed[at] ?? [];
      const series = (what: "decode" | "prefill") =>
        layOutSeries(
          format,
          graphs.map((graph) => {
            const lengths = lengthsOf(timings[graph.timing], what);
            return { ...graph, lengths, places: lengths.map((_, point) => samples.place(what, graph, point)) };
          }),
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
        attentionTokens: attention?.tokens ?? null,
        differenceFrom: (shape) => shapeDifference(format.reference, shape),
      };
    }),
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

/** One series per length that enough graphs were timed at. */
function layOutSeries(
  format: KitFormat,
  graphs: readonly { index: number; lengths: readonly number[]; places: readonly SamplePlace[] }[],
): SeriesLayout[] {
  const lengths = new Set(graphs.flatMap((graph) => graph.lengths));
  return [...lengths]
    .sort((a, b) => a - b)
    .flatMap((tokens): SeriesLayout[] => {
      const at = graphs.filter((graph) => graph.lengths.includes(tokens));
      const timed = at.reduce((bits, { index }) => bits | (1 << index), 0);
      const found = determined(format, ["columns", "parameters"], timed);
      const places = at.flatMap(({ lengths: its, places }) => places[its.indexOf(tokens)] ?? []);
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

function samePoints(one: KitTiming | undefined, other: KitTiming | undefined): boolean {
  return (["decode", "prefill"] as const).every((what) => {
    const [lengths, others] = [lengthsOf(one, what), lengthsOf(other, what)];
    return lengths.length === others.length && lengths.every((tokens, point) => tokens === others[point]);
  });
}
