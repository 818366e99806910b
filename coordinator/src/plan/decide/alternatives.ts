import type { PlanAlternative } from "@espalier/shared/contracts/plan";
import type { Assessment } from "./assess.ts";
import type { Candidate } from "./candidate.ts";
import { limitNames } from "./device-limits.ts";
import { bestFeasible, type Portfolio } from "./portfolio.ts";
import { explainAlternative } from "./reason.ts";

/** How much looser a limit is tried, least first. */
const loosenings = [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1];

/** Less KL than this is rounding, not quality. */
const leastKlSaved = 1e-9;

/**
 * What one more variant, or each limit made looser alone, would buy. Of each limit the least loosening that buys
 * anything is told; one that buys nothing is left out.
 * @param choose the best portfolio when the devices may run `feasible`
 */
export function alternatives(
  assessments: readonly Assessment[],
  candidates: readonly Candidate[],
  current: Portfolio,
  maxVariants: number,
  choose: (feasible: readonly (readonly number[])[], maxVariants: number) => Portfolio,
): PlanAlternative[] {
  const now = assessments.map(({ feasible }) => feasible);
  const chosenNow = now.map((feasible) => bestFeasible(current.chosen, feasible));
  const compare = (
    change: Pick<PlanAlternative, "limit" | "by">,
    feasible: readonly (readonly number[])[],
    portfolio: Portfolio,
  ): PlanAlternative | null => {
    const chosen = feasible.map((options) => bestFeasible(portfolio.chosen, options));
    const devicesServedMore = served(chosen) - served(chosenNow);
    const devicesBetter = chosen.filter((after, device) => {
      const before = chosenNow[device];
      return after !== undefined && before !== undefined && after < before;
    }).length;
    const klSaved = devicesServedMore === 0 ? current.totalLoss - portfolio.totalLoss : null;
    if (devicesServedMore < 0 || (klSaved !== null && klSaved < leastKlSaved)) return null;
    const variants = portfolio.chosen.map((index) => candidates[index]?.name ?? "");
    const found = { ...change, devicesBetter, devicesServedMore, klSaved, variants };
    return { ...found, text: explainAlternative(found) };
  };
  const found = [compare({ limit: "maxVariants", by: 1 }, now, choose(now, maxVariants + 1))];
  limitNames.forEach((limit, at) => {
    if (!assessments.some(({ bounds }) => bounds[at] !== undefined)) return;
    for (const by of loosenings) {
      const feasible = assessments.map((assessment) => feasibleWhenLooser(assessment, candidates.length, at, by));
      const alternative = compare({ limit, by }, feasible, choose(feasible, maxVariants));
      found.push(alternative);
      if (alternative !== null) break;
    }
  });
  return found.filter((alternative) => alternative !== null);
}

function feasibleWhenLooser({ uppers, bounds }: Assessment, candidates: number, limit: number, by: number): number[] {
  const feasible: number[] = [];
  for (let index = 0; index < candidates; index++) {
    const keeps = bounds.every((bound, at) => {
      const allowed = (bound?.allowed ?? Infinity) * (at === limit ? 1 + by : 1);
      return (uppers[index * limitNames.length + at] ?? Number.NaN) <= allowed;
    });
    if (keeps && bounds.length > 0) feasible.push(index);
  }
  return feasible;
}

function served(chosen: readonly (number | undefined)[]): number {
  return chosen.filter((index) => index !== undefined).length;
}
