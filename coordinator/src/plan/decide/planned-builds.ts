import type { Plan, PlannedVariant } from "@espalier/shared/contracts/plan";

/** All that a plan has built: what devices run, and what they may step down to. */
export function plannedBuilds({ variants, fallbacks }: Pick<Plan, "variants" | "fallbacks">): PlannedVariant[] {
  return [...variants, ...fallbacks];
}
