import type { PlanAlternative } from "@espalier/shared/contracts/plan";
import type { AssessContext, Assessment } from "./assess.ts";
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
  { candidates, intern }: Pick<AssessContext, "candidates" | "intern">,
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
      const feasible = assessments.map((assessment) => {
        const options = feasibleWhenLooser(assessment, at, by);
        return options === assessment.feasible ? options : intern(options);
      });
      const alternative = compare({ limit, by }, feasible, choose(feasible, maxVariants));
      found.push(alternative);
      if (alternative !== null) break;
    }
  });
  return found.filter((alternative) => alternative !== null);
}

/** The same array where nothing more is feasible, as on most devices. */
function feasibleWhenLooser({ uppers, bounds, feasible }: Assessment, limit: number, by: number): readonly number[] {
  const more: number[] = [];
  const width = limitNames.length;
  for (let index = 0; bounds.length > 0 && index * width < uppers.length; index++) {
    let keeps = true;
    for (let at = 0; at < width && keeps; at++) {
      const allowed = (bounds[at]?.allowed ?? Infinity) * (at === limit ? 1 + by : 1);
      keeps = (uppers[index * width + at] ?? Number.NaN) <= allowed;
    }
    if (keeps) more.push(index);
  }
  return more.length === feasible.length ? feasible : more;
}

function served(chosen: readonly (number | undefined)[]): number {
  return chosen.filter((index) => index !== undefined).length;
}
