import type { GateResult, RolloutDevice, RolloutState } from "@espalier/shared/contracts/rollout-state";
import { failuresGate } from "./failures-gate.ts";
import {
  energyObjectiveGate,
  latencyObjectiveGate,
  latencyPredictionGate,
  memoryObjectiveGate,
  type Observed,
  probeGate,
} from "./measured-gates.ts";

/** All gates of a wave whose devices have settled: failures over all, the measured ones per device class. */
export function judgeWave(state: RolloutState, devices: readonly RolloutDevice[]): GateResult[] {
  const planned = new Map(state.plan?.devices.map((device) => [device.deviceId, device]));
  const classes = new Map<string, Observed[]>();
  for (const device of devices) {
    const plan = planned.get(device.deviceId);
    if (device.phase !== "active" || plan === undefined) continue;
    const observed: Observed = {
      name: device.name,
      limits: plan.limits,
      // The plan predicted its choice, not the rungs below it.
      prediction: device.rung === 0 ? (plan.choice?.prediction ?? null) : null,
      proof: device.proof,
    };
    classes.set(plan.deviceClass, [...(classes.get(plan.deviceClass) ?? []), observed]);
  }
  const { spec } = state;
  const gates = [failuresGate(devices, spec.gates)];
  for (const [deviceClass, observed] of [...classes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    gates.push(
      latencyObjectiveGate(deviceClass, observed, spec),
      latencyPredictionGate(deviceClass, observed, spec),
      memoryObjectiveGate(deviceClass, observed),
      energyObjectiveGate(deviceClass, observed),
      probeGate(deviceClass, observed, spec.gates.minProbeAgreement),
    );
  }
  return gates;
}
