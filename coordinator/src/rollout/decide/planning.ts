import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import type { DeviceFact, JobFact, RolloutFacts } from "./facts.ts";
import type { Step } from "./step.ts";

/**
 * Kit, then measurements, then sensitivity, then the plan. In this order one after another: on one machine a builder at
 * work would spoil what the devices measure.
 */
export function decidePlanning(state: RolloutState, facts: RolloutFacts, nowMs: number): readonly Step[] {
  if (facts.devices.length === 0) {
    const selector =
      state.spec.selector === "" ? "no device is enrolled" : `no device matches "${state.spec.selector}"`;
    return [{ action: "enter", phase: "failed", reason: selector }];
  }
  const kit = settleJob(facts.kit, "the measurement kit", { action: "request-kit" });
  if (kit !== "done") return kit;

  const late = nowMs - state.createdAtMs > state.spec.gates.deviceDeadlineSeconds * 1000;
  const unmeasured = facts.devices.filter(
    (device) => awaitsMeasurement(device, nowMs < facts.connectGraceEndsAtMs) && !late,
  );
  if (unmeasured.length > 0) {
    const deviceIds = unmeasured
      .filter(({ online, measurement }) => online && measurement.state === "idle")
      .map(({ deviceId }) => deviceId);
    return deviceIds.length === 0 ? [] : [{ action: "measure", deviceIds }];
  }

  const sensitivity = settleJob(facts.sensitivity, "the sensitivity job", { action: "request-sensitivity" });
  if (sensitivity !== "done") return sensitivity;
  return [{ action: "make-plan", scope: "all" }];
}

/** An offline device, or one whose measurement failed, is planned without and listed with the reason. */
function awaitsMeasurement({ measured, online, measurement }: DeviceFact, mayConnect: boolean): boolean {
  return !measured && (online || mayConnect) && measurement.state !== "failed";
}

function settleJob(job: JobFact, what: string, request: Step): "done" | readonly Step[] {
  switch (job.state) {
    case "missing":
      return [request];
    case "dead":
      return [{ action: "enter", phase: "failed", reason: `${what} failed: ${job.message}` }];
    case "succeeded":
      return "done";
    case "queued":
    case "running":
    case "retrying":
      return [];
  }
}
