/** Devices with the same feasible candidates. `feasible` holds candidate indices, ascending (index 0 is the best quality). */
export interface DemandGroup {
  devices: number;
  feasible: readonly number[];
}

export interface PortfolioRequest {
  /** Loss of quality per device that runs candidate i, never falling with i. */
  losses: readonly number[];
  weightBytes: readonly number[];
  groups: readonly DemandGroup[];
  maxVariants: number;
  /** Search effort, in visited nodes; the search is exact when it ends before. */
  maxNodes?: number;
}

export interface Portfolio {
  /** Candidate indices, ascending. */
  chosen: readonly number[];
  unserved: number;
  totalLoss: number;
  /** Total loss of the best portfolio is at least `totalLoss - gap`; 0 when the search was exact. */
  gap: number;
}

interface Cost {
  unserved: number;
  loss: number;
  bytes: number;
}

/**
 * At most `maxVariants` candidates for the whole fleet: first so that the fewest devices are left without one, then
 * that the devices lose the least quality in total, then that the variants are the fewest bytes. Branch and bound over
 * the candidates that no better one makes superfluous, from a greedy start; the facility-location problem is NP-hard,
 * so beyond `maxNodes` the best portfolio seen is returned with the gap to a lower bound.
 */
export function choosePortfolio({ maxNodes = 200_000, ...request }: PortfolioRequest): Portfolio {
  const useful = usefulCandidates(request);
  let best = greedy(request, useful);
  let bestCost = costOf(request, best);
  let nodes = 0;
  let exhausted = false;

  const visit = (position: number, chosen: readonly number[]): void => {
    if (exhausted || ++nodes > maxNodes) {
      exhausted = true;
      return;
    }
    const room = chosen.length < request.maxVariants;
    const rest = room ? useful.slice(position) : [];
    if (compareCost({ ...costOf(request, [...chosen, ...rest]), bytes: 0 }, bestCost) > 0) return;
    const cost = costOf(request, chosen);
    if (compareCost(cost, bestCost) < 0) {
      best = chosen;
      bestCost = cost;
    }
    const next = rest[0];
    if (next === undefined) return;
    visit(position + 1, [...chosen, next]);
    visit(position + 1, chosen);
  };
  visit(0, []);

  const bound = costOf(request, useful);
  return {
    chosen: [...best].sort((a, b) => a - b),
    unserved: bestCost.unserved,
    totalLoss: bestCost.loss,
    gap: exhausted ? Math.max(0, bestCost.loss - bound.loss) : 0,
  };
}

/** The best candidate of a portfolio that a device may run, undefined when it may run none. */
export function bestFeasible(chosen: readonly number[], feasible: readonly number[]): number | undefined {
  return feasible.find((candidate) => chosen.includes(candidate));
}

/** A candidate is superfluous when a better one is feasible wherever it is. */
function usefulCandidates({ losses, groups }: PortfolioRequest): number[] {
  const servedBy = losses.map((_, candidate) => groups.map((group) => group.feasible.includes(candidate)));
  return losses.flatMap((_, candidate) => {
    const served = servedBy[candidate] ?? [];
    if (!served.includes(true)) return [];
    const superfluous = servedBy.slice(0, candidate).some((better) => served.every((yes, g) => !yes || better[g]));
    return superfluous ? [] : [candidate];
  });
}

function greedy(request: PortfolioRequest, useful: readonly number[]): readonly number[] {
  let chosen: readonly number[] = [];
  while (chosen.length < request.maxVariants) {
    const current = costOf(request, chosen);
    const options = useful
      .filter((candidate) => !chosen.includes(candidate))
      .map((candidate) => [...chosen, candidate])
      .map((portfolio) => ({ portfolio, cost: costOf(request, portfolio) }))
      .sort((a, b) => compareCost(a.cost, b.cost));
    const first = options[0];
    if (first === undefined || compareCost(first.cost, current) >= 0) break;
    chosen = first.portfolio;
  }
  return chosen;
}

function costOf({ losses, weightBytes, groups }: PortfolioRequest, chosen: readonly number[]): Cost {
  const cost: Cost = { unserved: 0, loss: 0, bytes: 0 };
  for (const { devices, feasible } of groups) {
    const candidate = bestFeasible(chosen, feasible);
    if (candidate === undefined) cost.unserved += devices;
    else cost.loss += devices * (losses[candidate] ?? 0);
  }
  for (const candidate of chosen) cost.bytes += weightBytes[candidate] ?? 0;
  return cost;
}

function compareCost(a: Cost, b: Cost): number {
  return a.unserved - b.unserved || a.loss - b.loss || a.bytes - b.bytes;
}
