import { lossBound } from "./portfolio-bound.ts";

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

/** Nodes times groups that a search may visit: under a second. */
const maxWork = 5e7;

/**
 * At most `maxVariants` candidates for the whole fleet: first so that the fewest devices are left without one, then
 * that the devices lose the least quality in total, then that the variants are the fewest bytes. Branch and bound over
 * the candidates that no better one makes superfluous, from a greedy start; the facility-location problem is NP-hard,
 * so beyond `maxNodes` the best portfolio seen is returned with the gap to a lower bound.
 */
export function choosePortfolio({ maxNodes, ...request }: PortfolioRequest): Portfolio {
  const { groups, weightBytes, maxVariants } = request;
  const useful = usefulCandidates(request);
  const losses = useful.map((candidate) => lossByGroup(request, candidate));
  /** `[position]`: the least loss of each group with all candidates from there on. */
  const rest = [nothing(groups.length)];
  for (const loss of [...losses].reverse()) rest.unshift(least(loss, rest[0] ?? loss));
  const start = greedy(request, useful, losses);
  let best = start.chosen;
  let bestCost = start.cost;
  let left = maxNodes ?? Math.ceil(maxWork / Math.max(1, groups.length));
  let exhausted = false;

  const visit = (position: number, chosen: readonly number[], current: Float64Array, bytes: number): void => {
    if (exhausted || left-- <= 0) {
      exhausted = true;
      return;
    }
    const room = chosen.length < maxVariants && position < useful.length;
    const reachable = room ? least(current, rest[position] ?? current) : current;
    if (compareCost(costOf(groups, reachable, bytes), bestCost) > 0) return;
    const cost = costOf(groups, current, bytes);
    if (compareCost(cost, bestCost) < 0) {
      best = chosen;
      bestCost = cost;
    }
    const next = useful[position];
    const loss = losses[position];
    if (!room || next === undefined || loss === undefined) return;
    visit(position + 1, [...chosen, next], least(current, loss), bytes + (weightBytes[next] ?? 0));
    visit(position + 1, chosen, current, bytes);
  };
  visit(0, [], nothing(groups.length), 0);

  const devices = groups.map((group) => group.devices);
  return {
    chosen: [...best].sort((a, b) => a - b),
    unserved: bestCost.unserved,
    totalLoss: bestCost.loss,
    gap: exhausted ? Math.max(0, bestCost.loss - lossBound({ losses, devices, maxVariants, known: bestCost })) : 0,
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

/** Adds the candidate that helps most until none does; then exchanges one for another as long as that helps. */
function greedy(
  { groups, weightBytes, maxVariants }: PortfolioRequest,
  useful: readonly number[],
  losses: readonly Float64Array[],
): { chosen: readonly number[]; cost: Cost } {
  const evaluate = (positions: readonly number[]) => {
    const current = positions.reduce((sum, at) => least(sum, losses[at] ?? sum), nothing(groups.length));
    const bytes = positions.reduce((sum, at) => sum + (weightBytes[useful[at] ?? 0] ?? 0), 0);
    return { positions, cost: costOf(groups, current, bytes) };
  };
  let best = evaluate([]);
  for (let improved = true; improved; ) {
    improved = false;
    const { positions } = best;
    const kept =
      positions.length < maxVariants ? [positions] : positions.map((out) => positions.filter((at) => at !== out));
    for (const base of kept) {
      for (const added of useful.keys()) {
        if (positions.includes(added)) continue;
        const option = evaluate([...base, added]);
        if (compareCost(option.cost, best.cost) >= 0) continue;
        best = option;
        improved = true;
      }
    }
  }
  return { chosen: best.positions.map((at) => useful[at] ?? 0), cost: best.cost };
}

/** What each group's devices lose with a candidate; Infinity where it doesn't fit. */
function lossByGroup({ losses, groups }: PortfolioRequest, candidate: number): Float64Array {
  return Float64Array.from(groups, ({ feasible }) =>
    feasible.includes(candidate) ? (losses[candidate] ?? Infinity) : Infinity,
  );
}

function nothing(groups: number): Float64Array {
  return new Float64Array(groups).fill(Infinity);
}

function least(a: Float64Array, b: Float64Array): Float64Array {
  const both = new Float64Array(a.length);
  for (let group = 0; group < a.length; group++) both[group] = Math.min(a[group] ?? Infinity, b[group] ?? Infinity);
  return both;
}

function costOf(groups: readonly DemandGroup[], lossOf: Float64Array, bytes: number): Cost {
  const cost: Cost = { unserved: 0, loss: 0, bytes };
  for (let group = 0; group < groups.length; group++) {
    const loss = lossOf[group] ?? Infinity;
    const devices = groups[group]?.devices ?? 0;
    if (loss === Infinity) cost.unserved += devices;
    else cost.loss += devices * loss;
  }
  return cost;
}

function compareCost(a: Cost, b: Cost): number {
  return a.unserved - b.unserved || a.loss - b.loss || a.bytes - b.bytes;
}
