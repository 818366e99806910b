import type { GateResult, Verdict } from "@espalier/shared/contracts/rollout-state";

/** From best to worst. A known failure outranks a gate that could not be evaluated: it is what must be acted on. */
const severity: readonly Verdict[] = ["pass", "inconclusive", "error", "fail"];

/** The worst verdict wins; no gates at all pass. */
export function worstVerdict(gates: readonly Pick<GateResult, "verdict">[]): Verdict {
  return gates.reduce<Verdict>(
    (worst, { verdict }) => (severity.indexOf(verdict) > severity.indexOf(worst) ? verdict : worst),
    "pass",
  );
}
