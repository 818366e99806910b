import type { Violation } from "@espalier/shared/contracts/plan";
import type { Budget } from "@espalier/shared/contracts/profile";
import type { Limits, RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { meets, parseSelector, type Requirement } from "@espalier/shared/selector";

/** One bound on a device and who set it. Times in ms or s, sizes in bytes, energy in J. */
export interface EffectiveLimit {
  limit: Violation["limit"];
  origin: Violation["origin"];
  allowed: number;
}

/** In the order in which predictions are written. */
export const limitNames = [
  "tpotP90Ms",
  "ttftP90Ms",
  "peakMemoryBytes",
  "diskBytes",
  "downloadSeconds",
  "joulesPerToken",
] as const;

/** Where each limit is in `limitNames`. */
export const limitIndex = Object.fromEntries(limitNames.map((limit, index) => [limit, index])) as Readonly<
  Record<Violation["limit"], number>
>;

/** The strictest bounds on a device, in three forms. */
export interface LimitBounds {
  /** In the order of `limitNames`. */
  bounds: readonly (EffectiveLimit | undefined)[];
  /** As `bounds`; Infinity where nothing is limited. */
  allowed: Float64Array;
  /** Indices of what is limited. */
  limited: Uint8Array;
  /** As the contract has them. */
  limits: Limits;
}

/** What a rollout asks of devices, its selectors read once for a whole fleet. */
export interface Objectives {
  limits: Limits;
  overrides: readonly { requirements: readonly Requirement[]; limits: Limits }[];
}

/** @throws {EspalierError} `selector.malformed` */
export function compileObjectives({ limits, overrides }: Pick<RolloutSpec, "limits" | "overrides">): Objectives {
  return {
    limits,
    overrides: overrides.map((override) => ({
      requirements: parseSelector(override.selector),
      limits: override.limits,
    })),
  };
}

/**
 * The limits that hold on one device: the objectives, replaced limit by limit by every override whose selector matches
 * (later ones win), and beside them the owner's budget, which no override lifts.
 */
export function effectiveLimits(
  { limits: common, overrides }: Objectives,
  labels: Readonly<Record<string, string>>,
  budget: Budget,
): EffectiveLimit[] {
  const objective: Limits = { ...common };
  for (const { requirements, limits } of overrides) {
    if (meets(requirements, labels)) Object.assign(objective, limits);
  }
  const limits: EffectiveLimit[] = [];
  for (const limit of limitNames) {
    const allowed = objective[limit];
    if (allowed !== undefined) limits.push({ limit, origin: "objective", allowed });
  }
  if (budget.memoryBytes !== null) {
    limits.push({ limit: "peakMemoryBytes", origin: "budget", allowed: budget.memoryBytes });
  }
  if (budget.diskBytes !== null) limits.push({ limit: "diskBytes", origin: "budget", allowed: budget.diskBytes });
  return limits;
}

/** Bounds of many devices, equal ones made only once. */
export function createBounds(
  objectives: Objectives,
): (labels: Readonly<Record<string, string>>, budget: Budget) => LimitBounds {
  const made = new Map<string, LimitBounds>();
  return (labels, budget) => {
    const met = objectives.overrides.map(({ requirements }) => (meets(requirements, labels) ? "+" : "-")).join("");
    const key = `${met}/${budget.memoryBytes}/${budget.diskBytes}`;
    let bounds = made.get(key);
    if (bounds === undefined) {
      bounds = formsOf(strictestBounds(effectiveLimits(objectives, labels, budget)));
      made.set(key, bounds);
    }
    return bounds;
  };
}

function formsOf(bounds: readonly (EffectiveLimit | undefined)[]): LimitBounds {
  const allowed = Float64Array.from(bounds, (bound) => bound?.allowed ?? Infinity);
  const limited = Uint8Array.from(allowed.keys().filter((limit) => allowed[limit] !== Infinity));
  return { bounds, allowed, limited, limits: strictestLimits(bounds) };
}

/** Of a device that nobody has measured. */
export const noBounds: LimitBounds = formsOf([]);

/** The strictest bound per limit, whoever set it, in the order of `limitNames`. */
function strictestBounds(limits: readonly EffectiveLimit[]): (EffectiveLimit | undefined)[] {
  const strictest: (EffectiveLimit | undefined)[] = limitNames.map(() => undefined);
  for (const bound of limits) {
    const at = limitIndex[bound.limit];
    if (bound.allowed < (strictest[at]?.allowed ?? Infinity)) strictest[at] = bound;
  }
  return strictest;
}

function strictestLimits(bounds: readonly (EffectiveLimit | undefined)[]): Limits {
  const strictest: Limits = {};
  for (const bound of bounds) if (bound !== undefined) strictest[bound.limit] = bound.allowed;
  return strictest;
}

/** Every bound that a prediction breaks. @param upperEnd of a limit; NaN breaks nothing */
export function violations({ bounds }: LimitBounds, upperEnd: (limit: Violation["limit"]) => number): Violation[] {
  const broken: Violation[] = [];
  for (const bound of bounds) {
    if (bound === undefined) continue;
    const predicted = upperEnd(bound.limit);
    if (predicted > bound.allowed) broken.push({ ...bound, predicted });
  }
  return broken;
}
