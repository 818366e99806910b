import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import type { GateResult, RolloutDevice } from "@espalier/shared/contracts/rollout-state";

/**
 * Fails when more than `maxFailureShare` of the wave's devices failed. An offline device is neither a failure nor
 * evidence: a wave of which no device came through is inconclusive, and so is one of which more than `maxStepDownShare`
 * came through only with a smaller variant than the plan's choice.
 */
export function failuresGate(
  devices: readonly RolloutDevice[],
  { maxFailureShare, maxStepDownShare }: Pick<RolloutSpec["gates"], "maxFailureShare" | "maxStepDownShare">,
): GateResult {
  const failed = devices.filter(({ phase }) => phase === "failed");
  const active = devices.filter(({ phase }) => phase === "active");
  const lower = active.filter(({ rung }) => rung > 0);
  const share = (some: readonly RolloutDevice[]) => (devices.length === 0 ? 0 : some.length / devices.length);
  const base = { gate: "failures", subject: "all", evidence: failed.length + active.length } as const;
  const byFailures = { ...base, measured: share(failed), allowed: maxFailureShare };
  const bySteps = { ...base, measured: share(lower), allowed: maxStepDownShare };
  const stepped = lower.length === 0 ? "" : `, ${lower.length} stepped down`;
  const message = `${failed.length} of ${devices.length} devices failed${stepped}`;
  if (share(failed) > maxFailureShare) {
    const first = failed[0];
    const example = first === undefined ? "" : `, first ${first.name}: ${first.reason}`;
    return { ...byFailures, verdict: "fail", message: `${message}${example}` };
  }
  if (active.length === 0 && devices.length > 0) {
    const none = `none of ${devices.length} devices runs its variant`;
    return { ...byFailures, verdict: "inconclusive", message: none };
  }
  if (share(lower) > maxStepDownShare) {
    const example = `${lower[0]?.name} ${lower[0]?.reason}`;
    return { ...bySteps, verdict: "inconclusive", message: `${message}, first ${example}` };
  }
  return { ...byFailures, verdict: "pass", message };
}
