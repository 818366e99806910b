import type { GateResult, RolloutDevice } from "@espalier/shared/contracts/rollout-state";

/**
 * Fails when more than `maxFailureShare` of the wave's devices failed. An offline device is neither a failure nor
 * evidence: a wave of which no device came through is inconclusive.
 */
export function failuresGate(devices: readonly RolloutDevice[], maxFailureShare: number): GateResult {
  const failed = devices.filter(({ phase }) => phase === "failed");
  const active = devices.filter(({ phase }) => phase === "active");
  const share = devices.length === 0 ? 0 : failed.length / devices.length;
  const result = {
    gate: "failures",
    subject: "all",
    measured: share,
    allowed: maxFailureShare,
    evidence: failed.length + active.length,
  } as const;
  if (share > maxFailureShare) {
    const first = failed[0];
    const example = first === undefined ? "" : `, first ${first.name}: ${first.reason}`;
    return { ...result, verdict: "fail", message: `${failed.length} of ${devices.length} devices failed${example}` };
  }
  if (active.length === 0 && devices.length > 0) {
    return { ...result, verdict: "inconclusive", message: `none of ${devices.length} devices runs its variant` };
  }
  return { ...result, verdict: "pass", message: `${failed.length} of ${devices.length} devices failed` };
}
