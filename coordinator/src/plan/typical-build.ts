import type { StoredVariant } from "../store/variants.ts";

/** Median of what the stages of each build took when they ran; null before the first build. */
export function typicalBuildSeconds(variants: readonly Pick<StoredVariant, "report">[]): number | null {
  const seconds = variants
    .map(({ report }) => report.costs.reduce((sum, { cost }) => sum + cost.seconds, 0))
    .sort((a, b) => a - b);
  return seconds[seconds.length >> 1] ?? null;
}
