import type { Quality } from "@espalier/shared/contracts/quality";
import type { SensitivitySlice } from "@espalier/shared/contracts/report";

/** What a quality floor is held against on one slice of the text. */
export interface SliceFigures {
  name: string;
  dense: Quality;
  /** Of the variant. */
  exported: Quality;
}

/** Two-sided 95 % quantile of the normal distribution. */
const twoSided95 = 1.96;

/**
 * A candidate on a slice at the good end of its 95 % intervals: a slice has few of the sensitivity job's tokens, and what may
 * well keep the floor is left to the report of the built variant, which judges all of the slice's text.
 */
export function atBest({ name, tokens, dense, quality, logPerplexityHalfWidth }: SensitivitySlice): SliceFigures {
  const { agreement } = quality;
  const agreementHalfWidth = twoSided95 * Math.sqrt((agreement * (1 - agreement)) / tokens);
  return {
    name,
    dense,
    exported: {
      ...quality,
      perplexity: quality.perplexity * Math.exp(-logPerplexityHalfWidth),
      agreement: Math.min(1, agreement + agreementHalfWidth),
      kl: quality.kl - quality.klHalfWidth,
    },
  };
}
