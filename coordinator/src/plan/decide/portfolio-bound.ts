const mostRounds = 200;
/** Rounds without a better bound after which the steps are halved. */
const patience = 20;
const leastScale = 1e-3;

/** A choice of at most `maxVariants` candidates, and one portfolio of it. */
export interface BoundRequest {
  /** `[candidate][group]`: what each device of a group loses with it; Infinity where it doesn't fit. */
  losses: readonly Float64Array[];
  /** `[group]` */
  devices: readonly number[];
  maxVariants: number;
  /** Of the known portfolio. */
  known: { loss: number; unserved: number };
}

/**
 * What the best portfolio loses at least, by Lagrangian relaxation (Cornuejols, Fisher and Nemhauser 1977): each group pays a
 * price for being served, then every candidate stands alone and the `maxVariants` that earn most are open; prices follow the
 * groups' being served twice or not at all (subgradients; Held, Wolfe and Crowder 1974). A device without a candidate costs a
 * fixed amount beyond all losses, so the bound also holds for portfolios that leave as few unserved as the known one.
 */
export function lossBound({ losses, devices, maxVariants, known }: BoundRequest): number {
  const unservedLoss = 1 + 5 * losses.reduce((most, loss) => Math.max(most, largestFinite(loss)), 0);
  const target = known.loss + unservedLoss * known.unserved;
  /** By group: what it pays at least and at most; beyond either, prices make the bound worse. */
  const least = Float64Array.from(devices, (count, group) => {
    const best = losses.reduce((least, loss) => Math.min(least, loss[group] ?? Infinity), unservedLoss);
    return count * best;
  });
  const most = Float64Array.from(devices, (count) => count * unservedLoss);
  const prices = Float64Array.from(least);
  const excess = new Int32Array(devices.length);
  const earned = new Float64Array(losses.length);
  const order = [...losses.keys()];
  let [best, scale, idle] = [-Infinity, 1, 0];
  for (let round = 0; round < mostRounds && scale > leastScale; round++) {
    losses.forEach((loss, candidate) => {
      earned[candidate] = earnings(loss, devices, prices);
    });
    const open = order.sort((a, b) => (earned[a] ?? 0) - (earned[b] ?? 0)).slice(0, maxVariants);
    let bound = 0;
    for (const price of prices) bound += price;
    for (const candidate of open) bound += earned[candidate] ?? 0;
    idle = bound > best ? 0 : idle + 1;
    best = Math.max(best, bound);
    if (idle === patience) [scale, idle] = [scale / 2, 0];
    // Served more than once: the price was too high; not at all: too low, or it is as high as it may be.
    excess.fill(-1);
    for (const candidate of open) countServed(losses[candidate], devices, prices, excess);
    let squares = 0;
    for (let group = 0; group < excess.length; group++) {
      if ((excess[group] ?? 0) < 0 && (prices[group] ?? 0) >= (most[group] ?? 0)) excess[group] = 0;
      squares += (excess[group] ?? 0) ** 2;
    }
    if (squares === 0 || best >= target) break;
    const step = (scale * (target - bound)) / squares;
    for (let group = 0; group < prices.length; group++) {
      const wanted = (prices[group] ?? 0) - step * (excess[group] ?? 0);
      prices[group] = Math.min(most[group] ?? 0, Math.max(least[group] ?? 0, wanted));
    }
  }
  return Math.min(best, target) - unservedLoss * known.unserved;
}

/** At most 0: what groups lose with a candidate less than their prices. */
function earnings(loss: Float64Array, devices: readonly number[], prices: Float64Array): number {
  let sum = 0;
  for (let group = 0; group < prices.length; group++) {
    sum += Math.min(0, (devices[group] ?? 0) * (loss[group] ?? Infinity) - (prices[group] ?? 0));
  }
  return sum;
}

function countServed(
  loss: Float64Array | undefined,
  devices: readonly number[],
  prices: Float64Array,
  excess: Int32Array,
): void {
  for (let group = 0; group < prices.length; group++) {
    if ((devices[group] ?? 0) * (loss?.[group] ?? Infinity) < (prices[group] ?? 0)) {
      excess[group] = (excess[group] ?? 0) + 1;
    }
  }
}

function largestFinite(loss: Float64Array): number {
  let largest = 0;
  for (const value of loss) if (value !== Infinity && value > largest) largest = value;
  return largest;
}
