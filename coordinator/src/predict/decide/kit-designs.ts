import type { KitGraph } from "@espalier/shared/contracts/kit";
import type { KitTiming } from "@espalier/shared/contracts/profile";
import { type Design, designOf } from "./least-squares.ts";
import { featuresOf, measuredFormatKey, type ShapeFeatures } from "./shape-features.ts";
import { layOutTimings, type TimingLayout } from "./timing-layout.ts";

/** What costs are explained by: `columns` and `parameters` as in LengthCost; `weights` [1, bytes], `bytes` [bytes]. */
export type FeatureKind = "columns" | "parameters" | "weights" | "bytes";

/** What is known of a graph's cost before it is timed. */
export type KitGraphShape = Pick<KitGraph, "id" | "shape" | "weightsBytes">;

/** What fitting a device needs of a kit's graphs, computed once for a whole fleet. */
export interface PreparedKit {
  formats: readonly KitFormat[];
  /** Where these timings hold what a fit needs; their samples are read. */
  layoutOf(timings: readonly KitTiming[]): TimingLayout;
}

/** The graphs of one format, in the kit's order. */
export interface KitFormat {
  key: string;
  graphs: readonly KitGraphShape[];
  reference: ShapeFeatures;
  /** The features of the graphs whose bits are set in `timed`. */
  design(kind: FeatureKind, timed: number): Design;
}

export function prepareKit(kit: { graphs: readonly KitGraphShape[] }): PreparedKit {
  const formats = [...Map.groupBy(kit.graphs, ({ shape }) => measuredFormatKey(shape))].flatMap(([key, graphs]) => {
    const reference = graphs[0]?.shape;
    return reference === undefined ? [] : [{ key, graphs, reference: featuresOf(reference), design: designs(graphs) }];
  });
  /** The one used last comes first. */
  const layouts: TimingLayout[] = [];
  return {
    formats,
    layoutOf(timings) {
      const known = layouts.findIndex(({ samples }) => samples.read(timings));
      if (known === 0 && layouts[0] !== undefined) return layouts[0];
      const layout = known === -1 ? layOutTimings(formats, timings) : layouts.splice(known, 1)[0];
      if (layout === undefined) throw new RangeError(`there is no layout ${known}`);
      if (known === -1) layout.samples.read(timings);
      layouts.unshift(layout);
      return layout;
    },
  };
}

function designs(graphs: readonly KitGraphShape[]): KitFormat["design"] {
  const known: Record<FeatureKind, Map<number, Design>> = {
    columns: new Map(),
    parameters: new Map(),
    weights: new Map(),
    bytes: new Map(),
  };
  return (kind, timed) => {
    const design = known[kind].get(timed);
    if (design !== undefined) return design;
    const made = designOf(graphs.filter((_, index) => (timed >> index) & 1).map((graph) => graphFeatures(kind, graph)));
    known[kind].set(timed, made);
    return made;
  };
}

function graphFeatures(kind: FeatureKind, { shape, weightsBytes }: KitGraphShape): readonly number[] {
  const { values, count } = featuresOf({ ...shape, weightBytes: weightsBytes })[kind];
  return [...values.subarray(0, count)];
}
