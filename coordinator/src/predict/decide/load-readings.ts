import type { KitTiming } from "@espalier/shared/contracts/profile";
import type { TimedGraph } from "./timing-layout.ts";

/** Of both visits to a graph, or of its only one; at least 1, since costs are never negative. */
export function meanOf(timing: KitTiming, again: KitTiming | undefined, read: (timing: KitTiming) => number): number {
  const first = read(timing);
  return Math.max(1, again === undefined ? first : (first + read(again)) / 2);
}

export function loadMsOf({ loadMs }: KitTiming): number {
  return loadMs;
}

/** How much of it comes by loading and how much by running after it depends on what loading left to be used again. */
export function servingOf({ loadedMemoryBytes, runningMemoryBytes }: KitTiming): number {
  return loadedMemoryBytes + runningMemoryBytes;
}

/** While a graph loads, a part of its weights is in memory twice: as mapped and as packed for the kernels. */
export function loadPeakOf({ loadPeakMemoryBytes, loadedMemoryBytes }: KitTiming): number {
  return loadPeakMemoryBytes ?? loadedMemoryBytes;
}

/** The cache of a kit's run is known and taken out. */
export function cacheBytes({ cacheElementsPerToken }: TimedGraph, timing: KitTiming): number {
  let longest = timing.cacheTokens;
  for (const { contextTokens } of timing.decode) longest = Math.max(longest, contextTokens + 1);
  return timing.cacheElementBytes * cacheElementsPerToken * longest;
}
