import type { KitTiming } from "@espalier/shared/contracts/profile";
import { Estimator } from "./estimator.ts";
import { type Design, emptyModel, fitNonNegative, type LinearModel, setReading } from "./least-squares.ts";
import { cacheBytes, loadMsOf, loadPeakOf, meanOf, servingOf } from "./load-readings.ts";
import type { FormatLayout } from "./timing-layout.ts";

/** What grows with the bytes of a variant's weights on a device. */
export interface WeightCosts {
  /** What it is explained by. */
  kind: "weights" | "bytes";
  /** Growth of resident memory at the highest while loading, and while serving, without the KV cache; bytes. */
  loadPeak: Growth;
  serving: Growth;
  /** Time to load, ms. */
  load: LinearModel;
}

interface Growth {
  model: LinearModel;
  estimator: Estimator;
}

/** Relative standard error given to one load (ours: they are timed once). */
const loadReadingError = 0.1;
const once = [1];

/** To be fitted to devices; null where too few graphs were timed. */
export function emptyWeightCosts({ byWeights }: Pick<FormatLayout, "byWeights">): WeightCosts | null {
  if (byWeights === null) return null;
  const { design } = byWeights;
  const [loadPeak, serving, load] = [emptyGrowth(design), emptyGrowth(design), emptyModel(design)];
  return loadPeak && serving && load ? { kind: byWeights.kind, loadPeak, serving, load } : null;
}

/**
 * Fits the costs to one device.
 * @param memoryError relative, of one run's memory
 */
export function fitWeightCosts(
  { loadPeak, serving, load }: WeightCosts,
  { byWeights, timed }: Pick<FormatLayout, "byWeights" | "timed">,
  timings: readonly KitTiming[],
  memoryError: number,
): void {
  for (let n = 0; n < timed.length; n++) {
    const graph = timed[n];
    const timing = graph === undefined ? undefined : timings[graph.timing];
    if (graph === undefined || timing === undefined) continue;
    const again = graph.again === null ? undefined : timings[graph.again];
    const error = memoryError / Math.sqrt(again === undefined ? 1 : 2);
    const peakBytes = meanOf(timing, again, loadPeakOf);
    setReading(loadPeak.model, n, peakBytes, error * peakBytes);
    const servingBytes = Math.max(1, meanOf(timing, again, servingOf) - cacheBytes(graph, timing));
    setReading(serving.model, n, servingBytes, error * servingBytes);
    const loadMs = meanOf(timing, again, loadMsOf);
    setReading(load, n, loadMs, loadReadingError * loadMs);
  }
  if (byWeights === null) return;
  const { design } = byWeights;
  fit(design, loadPeak);
  fit(design, serving);
  fitNonNegative(design, load);
}

function emptyGrowth(design: Design): Growth | null {
  const model = emptyModel(design);
  return model === null ? null : { model, estimator: new Estimator() };
}

function fit(design: Design, { model, estimator }: Growth): void {
  fitNonNegative(design, model);
  estimator.setSum([model], once);
}
