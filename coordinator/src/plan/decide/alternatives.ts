import type { PlanAlternative } from "@espalier/shared/contracts/plan";
import type { Candidate } from "./candidate.ts";
import { limitNames } from "./device-limits.ts";
import { feasibleWhenLooser, loosenings, type Options } from "./options.ts";
import { bestFeasible, type Portfolio } from "./portfolio.ts";
import { explainAlternative } from "./reason.ts";

/** Less KL than this is rounding, not quality. */
const leastKlSaved = 1e-9;

/** Devices that have the same options. */
export interface Kind {
  options: Options;
  devices: number;
}

/**
 * What one more variant, or each limit made looser alone, would buy. Of each limit the least loosening that buys
 * anything is told; one that buys nothing is left out.
 * @param limited by limit, whether any device has a bound on it
 * @param choose the best portfolio when the kinds may run `feasible`
 */
export function alternatives(
  kinds: readonly Kind[],
  limited: readonly boolean[],
  candidates: readonly Candidate[],
  current: Portfolio,
  maxVariants: number,
  choose: (feasible: readonly (readonly number[])[], maxVariants: number) => Portfolio,
): PlanAlternative[] {
  const now = kinds.map(({ options }) => options.feasible);
  const chosenNow = now.map((feasible) => bestFeasible(current.chosen, feasible));
  const served = (chosen: readonly (number | undefined)[]) =>
    kinds.reduce((sum, { devices }, kind) => sum + (chosen[kind] === undefined ? 0 : devices), 0);
  const compare = (
    change: Pick<PlanAlternative, "limit" | "by">,
    feasible: readonly (readonly number[])[],
    portfolio: Portfolio,
  ): PlanAlternative | null => {
    const chosen = feasible.map((options) => bestFeasible(portfolio.chosen, options));
    const devicesServedMore = served(chosen) - served(chosenNow);
    const devicesBetter = kinds.reduce((sum, { devices }, kind) => {
      const [before, after] = [chosenNow[kind], chosen[kind]];
      return sum + (after !== undefined && before !== undefined && after < before ? devices : 0);
    }, 0);
    const klSaved = devicesServedMore === 0 ? current.totalLoss - portfolio.totalLoss : null;
    if (devicesServedMore < 0 || (klSaved !== null && klSaved < leastKlSaved)) return null;
    const variants = portfolio.chosen.map((index) => candidates[index]?.name ?? "");
    const found = { ...change, devicesBetter, devicesServedMore, klSaved, variants };
    return { ...found, text: explainAlternative(found) };
  };
  const found = [compare({ limit: "maxVariants", by: 1 }, now, choose(now, maxVariants + 1))];
  limitNames.forEach((limit, at) => {
    if (limited[at] !== true) return;
    for (const [step, by] of loosenings.entries()) {
      const feasible = kinds.map(({ options }) => feasibleWhenLooser(options, at, step));
      const alternative = compare({ limit, by }, feasible, choose(feasible, maxVariants));
      found.push(alternative);
      if (alternative !== null) break;
    }
  });
  return found.filter((alternative) => alternative !== null);
}
