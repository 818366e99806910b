import type { VariantPrediction, Violation } from "@espalier/shared/contracts/plan";
import type { Budget } from "@espalier/shared/contracts/profile";
import type { Limits, RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { matchesSelector } from "@espalier/shared/selector";

/** One bound on a device and who set it. Times in ms or s, sizes in bytes. */
export interface EffectiveLimit {
  limit: Violation["limit"];
  origin: Violation["origin"];
  allowed: number;
}

export const limitNames = ["tpotP90Ms", "ttftP90Ms", "peakMemoryBytes", "diskBytes", "downloadSeconds"] as const;

/**
 * The limits that hold on one device: the spec's, replaced limit by limit by every override whose selector matches
 * (later ones win), and beside them the owner's budget, which no override lifts.
 */
export function effectiveLimits(
  spec: Pick<RolloutSpec, "limits" | "overrides">,
  labels: Readonly<Record<string, string>>,
  budget: Budget,
): EffectiveLimit[] {
  const objective: Limits = { ...spec.limits };
  for (const override of spec.overrides) {
    if (matchesSelector(override.selector, labels)) Object.assign(objective, override.limits);
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

/** The strictest bound per limit, whoever set it, in the order of `limitNames`. */
export function strictestBounds(limits: readonly EffectiveLimit[]): (EffectiveLimit | undefined)[] {
  return limitNames.map((name) => {
    let strictest: EffectiveLimit | undefined;
    for (const bound of limits) {
      if (bound.limit === name && bound.allowed < (strictest?.allowed ?? Infinity)) strictest = bound;
    }
    return strictest;
  });
}

/** The strictest bound per limit, as the contract has it. */
export function strictestLimits(bounds: readonly (EffectiveLimit | undefined)[]): Limits {
  const strictest: Limits = {};
  for (const bound of bounds) if (bound !== undefined) strictest[bound.limit] = bound.allowed;
  return strictest;
}

/** Upper ends of a prediction in the order of `limitNames`; a download whose rate is unknown breaks no limit. */
export function upperEnds(prediction: VariantPrediction): number[] {
  const { tpotMs, ttftMs, peakMemoryBytes, diskBytes, downloadSeconds } = prediction;
  return [tpotMs, ttftMs, peakMemoryBytes, diskBytes, downloadSeconds].map((quantity) =>
    quantity === null ? 0 : quantity.value * (1 + quantity.relativeUncertainty),
  );
}

/** Every bound that the upper ends `ends` (in the order of `limitNames`) break. */
export function violations(ends: ArrayLike<number>, bounds: readonly (EffectiveLimit | undefined)[]): Violation[] {
  const broken: Violation[] = [];
  for (let index = 0; index < bounds.length; index++) {
    const bound = bounds[index];
    const predicted = ends[index] ?? 0;
    if (bound !== undefined && predicted > bound.allowed) broken.push({ ...bound, predicted });
  }
  return broken;
}
