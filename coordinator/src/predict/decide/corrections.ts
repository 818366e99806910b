import { type ClassCorrection, CorrectedQuantity } from "@espalier/shared/contracts/correction";
import { medianOf } from "./median.ts";

/** One quantity that a device measured, beside its prediction without correction. */
export interface Observation {
  hardwareClass: string;
  quantity: CorrectedQuantity;
  predicted: number;
  measured: number;
}

/** Factors of a device's predictions. */
export type CorrectionFactors = Readonly<Record<CorrectedQuantity, number>>;

/** The assumption that a prediction is right weighs as much as this many devices (ours). */
const priorDevices = 3;
/** Beyond, a device is not a little off but not understood: measure it again rather than correct it (ours). */
export const factorBounds = { least: 0.5, most: 2 } as const;

/**
 * By class and quantity: the median of ln(measured / predicted), which no single odd device moves, shrunk towards 0 by how few
 * devices there are, n / (n + priorDevices), and bounded. Ordered by class; pure.
 */
export function correctionsOf(observations: readonly Observation[]): ClassCorrection[] {
  const usable = observations.filter(({ predicted, measured }) => predicted > 0 && measured > 0);
  return [...Map.groupBy(usable, ({ hardwareClass }) => hardwareClass)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([hardwareClass, ofClass]) => ({
      hardwareClass,
      quantities: CorrectedQuantity.options.flatMap((quantity) => {
        const logs = ofClass
          .filter((observation) => observation.quantity === quantity)
          .map(({ predicted, measured }) => Math.log(measured / predicted));
        return logs.length === 0 ? [] : [{ quantity, ...factorOf(logs) }];
      }),
    }));
}

/** 1 where nothing was measured. */
export function factorsFor(corrections: readonly ClassCorrection[], hardwareClass: string): CorrectionFactors {
  const factors = { tpotMs: 1, ttftMs: 1, peakMemoryBytes: 1 };
  const found = corrections.find((correction) => correction.hardwareClass === hardwareClass);
  for (const { quantity, factor } of found?.quantities ?? []) factors[quantity] = factor;
  return factors;
}

function factorOf(logs: readonly number[]) {
  const median = medianOf(Float64Array.from(logs));
  const wanted = Math.exp((median * logs.length) / (logs.length + priorDevices));
  const factor = Math.min(factorBounds.most, Math.max(factorBounds.least, wanted));
  return { factor, medianRatio: Math.exp(median), devices: logs.length, bounded: factor !== wanted };
}
