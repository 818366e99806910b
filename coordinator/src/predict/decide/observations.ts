import type { Plan } from "@espalier/shared/contracts/plan";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { factorsFor, type Observation } from "./corrections.ts";
import { timesTheSame } from "./same-lengths.ts";

/**
 * What devices measured when they proved the variant that they run, beside its prediction without correction: of each device
 * from its newest rollout that came after its class was reset.
 * @param rollouts newest first
 * @param resetAtMs when the corrections of a class were last reset; -Infinity if never
 */
export function observationsOf(
  rollouts: readonly RolloutState[],
  resetAtMs: (hardwareClass: string) => number,
): Observation[] {
  const seen = new Set<string>();
  const observations: Observation[] = [];
  for (const { plan, devices, spec, createdAtMs } of rollouts) {
    if (plan === null) continue;
    const planned = new Map<string, Plan["devices"][number]>(plan.devices.map((device) => [device.deviceId, device]));
    for (const { deviceId, phase, proof } of devices) {
      const { choice, hardwareClass } = planned.get(deviceId) ?? { choice: null, hardwareClass: "" };
      const timing = proof?.timing;
      if (phase !== "active" || seen.has(deviceId) || choice === null || hardwareClass === "" || !timing) continue;
      seen.add(deviceId);
      if (createdAtMs <= resetAtMs(hardwareClass) || !timesTheSame(timing, spec)) continue;
      const factors = factorsFor(plan.corrections, hardwareClass);
      const { tpotMs, ttftMs, peakMemoryBytes } = choice.prediction;
      const of = (quantity: Observation["quantity"], predicted: number, measured: number) =>
        observations.push({ hardwareClass, quantity, predicted: predicted / factors[quantity], measured });
      of("tpotMs", tpotMs.value, timing.tpotMs.median);
      of("ttftMs", ttftMs.value, timing.ttftMs.median);
      of("peakMemoryBytes", peakMemoryBytes.value, timing.peakMemoryBytes);
    }
  }
  return observations;
}
