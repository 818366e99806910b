import type { ClassCorrection, CorrectedQuantity } from "@espalier/shared/contracts/correction";

export const correctedWhat: Readonly<Record<CorrectedQuantity, string>> = {
  tpotMs: "time per output token",
  ttftMs: "time to first token",
  peakMemoryBytes: "peak memory",
};

/** One line per class: what predictions were multiplied by, and why. */
export function renderCorrections(corrections: readonly ClassCorrection[]): string {
  return corrections
    .map(({ hardwareClass, quantities }) => {
      const parts = quantities.map(
        ({ quantity, factor, medianRatio, devices }) =>
          `${correctedWhat[quantity]} ×${factor.toFixed(2)} (${devices} measured ×${medianRatio.toFixed(2)})`,
      );
      return `Corrected on ${hardwareClass}: ${parts.join(", ")}.\n`;
    })
    .join("");
}
