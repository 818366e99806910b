import type { Plan } from "@espalier/shared/contracts/plan";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";

/**
 * The devices of the canary wave: `canaryShare` of all that get a variant, with one of every class that has others to
 * protect. A class of one device needs no canary of its own, but the wave is never empty unless the share is 0.
 * Devices are taken in the order of their ids, so that planning again chooses the same ones.
 */
export function chooseCanaries(devices: Plan["devices"], canaryShare: number): Set<string> {
  const served = devices.filter(({ choice }) => choice !== null).sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1));
  if (canaryShare === 0 || served.length === 0) return new Set();
  const classes = new Map<string, string[]>();
  for (const { deviceClass, deviceId } of served) {
    classes.set(deviceClass, [...(classes.get(deviceClass) ?? []), deviceId]);
  }
  const canaries = new Set([...classes.values()].flatMap((ids) => (ids.length > 1 ? ids.slice(0, 1) : [])));
  const wanted = Math.max(1, Math.ceil(canaryShare * served.length));
  for (const { deviceId } of served) {
    if (canaries.size >= wanted) break;
    canaries.add(deviceId);
  }
  return canaries;
}

/** Waves that have devices, numbered from 0. */
export function nameWaves(canaries: number, others: number): RolloutState["waves"] {
  const names = [...(canaries > 0 ? ["canary"] : []), ...(others > 0 ? [canaries > 0 ? "rest" : "all"] : [])];
  return names.map((name, index) => ({ index, name, state: "waiting", gates: [] }));
}
