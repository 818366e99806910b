import type { VariantPrediction, Violation } from "@espalier/shared/contracts/plan";
import type { Budget } from "@espalier/shared/contracts/profile";
import type { Limits, RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { matchesSelector } from "@espalier/shared/selector";

/** One bound on a device and who set it. Times in ms, sizes in bytes. */
export interface EffectiveLimit {
  limit: Violation["limit"];
  origin: Violation["origin"];
  allowed: number;
}

const limitNames = ["tpotP90Ms", "ttftP90Ms", "peakMemoryBytes", "diskBytes"] as const;

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
  const limits: EffectiveLimit[] = limitNames.flatMap((limit) => {
    const allowed = objective[limit];
    return allowed === undefined ? [] : [{ limit, origin: "objective" as const, allowed }];
  });
  if (budget.memoryBytes !== null) {
    limits.push({ limit: "peakMemoryBytes", origin: "budget", allowed: budget.memoryBytes });
  }
  if (budget.diskBytes !== null) limits.push({ limit: "diskBytes", origin: "budget", allowed: budget.diskBytes });
  return limits;
}

/** The strictest bound per limit, whoever set it. */
export function strictestLimits(limits: readonly EffectiveLimit[]): Limits {
  const strictest: Limits = {};
  for (const { limit, allowed } of limits) strictest[limit] = Math.min(strictest[limit] ?? Infinity, allowed);
  return strictest;
}

/** Every limit that the upper end of the prediction breaks, the strictest bound per limit only. */
export function violations(prediction: VariantPrediction, limits: readonly EffectiveLimit[]): Violation[] {
  return limitNames.flatMap((name) => {
    const bounds = limits.filter(({ limit }) => limit === name).sort((a, b) => a.allowed - b.allowed);
    const bound = bounds[0];
    const predicted = upperEnd(prediction, name);
    if (bound === undefined || predicted <= bound.allowed) return [];
    return [{ ...bound, predicted }];
  });
}

function upperEnd(prediction: VariantPrediction, limit: Violation["limit"]): number {
  const field = {
    tpotP90Ms: prediction.tpotMs,
    ttftP90Ms: prediction.ttftMs,
    peakMemoryBytes: prediction.peakMemoryBytes,
    diskBytes: prediction.diskBytes,
  }[limit];
  return field.value * (1 + field.relativeUncertainty);
}
