import type { KitGraph } from "@espalier/shared/contracts/kit";
import { formatKey } from "@espalier/shared/contracts/shape";

/** What the order depends on. */
type Graph = Pick<KitGraph, "id" | "format" | "depth" | "ffnSize" | "weightsBytes">;

/** The visits to a kit's graphs, in their order. */
export interface KitVisits<Its extends Graph> {
  order: readonly Its[];
  /** So many are made however long they take: without them there is no prediction, or none of a long context. */
  needed: number;
  /** The graph to time at a long context too. */
  longId: string | undefined;
}

/**
 * Two depths of each format's widest graphs tell what a layer and all else cost; one graph at a long context tells what attention
 * does, for all formats. A narrower graph tells a column's cost from its layer's, and a second visit to each, in a process of its
 * own again, how far this device's runs lie apart: these are for as long as there is time.
 */
export function orderVisits<Its extends Graph>(graphs: readonly Its[]): KitVisits<Its> {
  const longId = smallestDeepGraph(graphs)?.id;
  const widest = new Map<string, number>();
  for (const { format, ffnSize } of graphs)
    widest.set(formatKey(format), Math.max(ffnSize, widest.get(formatKey(format)) ?? 0));
  const isNeeded = ({ id, format, ffnSize }: Its) => id === longId || ffnSize === widest.get(formatKey(format));
  const needed = graphs.filter(isNeeded);
  const once = [...needed, ...graphs.filter((graph) => !isNeeded(graph))];
  return { order: [...once, ...once], needed: needed.length, longId };
}

/** Attention costs the same beside all weights, and weighs most beside the fewest, at the greatest depth. */
function smallestDeepGraph<Its extends Graph>(graphs: readonly Its[]): Its | undefined {
  const deepest = Math.max(...graphs.map(({ depth }) => depth));
  return graphs.filter(({ depth }) => depth === deepest).sort((a, b) => a.weightsBytes - b.weightsBytes)[0];
}
