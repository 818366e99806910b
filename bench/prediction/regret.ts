import type { Comparison, Run } from "./compare.ts";
import { meanOf } from "./statistics.ts";

/** What choosing by prediction costs beside choosing by exhaustive measuring, over a sweep of limits. */
export interface Regret {
  limits: number;
  same: number;
  /** Steps of quality given away, mean over the limits: 1 is the next lesser variant. */
  meanStepsLost: number;
  /** Limits that the variant chosen by prediction breaks, and by how much at most (relative). */
  broken: number;
  worstExcess: number;
}

const limitsPerPiece = 20;

/**
 * Of each family and budget the biggest variant (by `bytes`, standing for quality: the weights are random) whose time per output
 * token keeps a limit, for limits from the fastest to the slowest variant's; by what `by` makes of the prediction, and by the mean
 * of what `measuredOf` reads off both rounds.
 */
export function regretOf(
  comparisons: readonly Comparison[],
  bytes: ReadonlyMap<string, number>,
  measuredOf: (run: Run) => number,
  by: (comparison: Comparison) => number,
): Regret {
  const regret: Regret = { limits: 0, same: 0, meanStepsLost: 0, broken: 0, worstExcess: 0 };
  let lost = 0;
  const pieces = Map.groupBy(
    comparisons.filter(({ quantity, promptTokens }) => quantity === "time per output token" && promptTokens === 64),
    ({ family, budget }) => `${family}, ${budget}`,
  );
  for (const piece of pieces.values()) {
    const ranked = [...piece].sort((a, b) => sizeOf(b, bytes) - sizeOf(a, bytes) || (a.variant < b.variant ? -1 : 1));
    const measured = ranked.map(({ runs }) => meanOf(runs, measuredOf));
    const [least, most] = [Math.min(...measured), Math.max(...measured)];
    for (let step = 0; step < limitsPerPiece; step++) {
      const limit = least * 1.05 + ((most * 1.3 - least * 1.05) * step) / (limitsPerPiece - 1);
      const best = measured.findIndex((ms) => ms <= limit);
      const chosen = ranked.findIndex((comparison) => by(comparison) <= limit);
      regret.limits++;
      if (chosen === best) regret.same++;
      const excess = (measured[chosen] ?? 0) / limit - 1;
      if (excess > 0) {
        regret.broken++;
        regret.worstExcess = Math.max(regret.worstExcess, excess);
      }
      lost += Math.max(0, (chosen === -1 ? ranked.length : chosen) - best);
    }
  }
  return { ...regret, meanStepsLost: lost / Math.max(1, regret.limits) };
}

function sizeOf({ family, variant }: Comparison, bytes: ReadonlyMap<string, number>): number {
  return bytes.get(`${family}/${variant}`) ?? 0;
}
