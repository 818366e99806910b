import type { Plan } from "@espalier/shared/contracts/plan";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError } from "@espalier/shared/errors";
import { finalPhases } from "./decide.ts";

/**
 * The rollout whose variants come back when `undone` is undone: the newest completed one before it that served any of its
 * devices.
 * @throws {EspalierError} `rollout.not-controllable` for a rollout under way, `rollout.no-predecessor`
 */
export function predecessorOf(undone: RolloutState, all: readonly RolloutState[]): RolloutState & { plan: Plan } {
  const { rolloutId, phase, spec } = undone;
  const fields = { rolloutId, phase };
  if (!(finalPhases as readonly string[]).includes(phase)) {
    throw new EspalierError("rollout.not-controllable", `${spec.name} is ${phase} and can't be undone yet`, {
      fields,
      remedy: `end it first: espalier rollout abort ${spec.name}`,
    });
  }
  const touched = new Set(undone.devices.map(({ deviceId }) => deviceId));
  const [found] = all
    .filter((state) => state.phase === "complete" && state.createdAtMs < undone.createdAtMs)
    .filter((state) => state.devices.some(({ deviceId, phase: at }) => at === "active" && touched.has(deviceId)))
    .sort((a, b) => b.createdAtMs - a.createdAtMs);
  if (found === undefined || found.plan === null) {
    throw new EspalierError("rollout.no-predecessor", `no rollout was completed on ${spec.name}'s devices before it`, {
      fields,
      remedy: "start a rollout with the specification that you want: espalier rollout start -f",
    });
  }
  return { ...found, plan: found.plan };
}

/**
 * The predecessor's plan for the devices that the undone rollout chose for, as far as they are still enrolled. What the
 * predecessor gave nothing keeps what it has.
 */
export function undoPlan(undone: RolloutState, predecessor: { plan: Plan }, enrolled: ReadonlySet<string>): Plan {
  const touched = new Set(undone.devices.map(({ deviceId }) => deviceId));
  const devices = predecessor.plan.devices.filter(({ deviceId }) => touched.has(deviceId) && enrolled.has(deviceId));
  const chosen = new Set(devices.map(({ choice }) => choice?.recipeDigest));
  const variants = predecessor.plan.variants.filter(({ recipeDigest }) => chosen.has(recipeDigest));
  return { ...predecessor.plan, devices, variants };
}
