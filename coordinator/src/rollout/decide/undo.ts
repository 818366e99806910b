import type { Plan, PlannedDevice, Prediction, TimePrediction } from "@espalier/shared/contracts/plan";
import type { Sample } from "@espalier/shared/contracts/profile";
import type { RolloutDevice, RolloutState } from "@espalier/shared/contracts/rollout-state";
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
 * The predecessor's plan for the devices that the undone rollout chose for, as far as they are still enrolled: each gets what
 * it ended on. What the predecessor gave nothing keeps what it has.
 */
export function undoPlan(
  undone: RolloutState,
  predecessor: Pick<RolloutState, "devices"> & { plan: Plan },
  enrolled: ReadonlySet<string>,
): Plan {
  const { plan } = predecessor;
  const touched = new Set(undone.devices.map(({ deviceId }) => deviceId));
  const ended = new Map(predecessor.devices.map((device) => [device.deviceId, device]));
  const devices = plan.devices
    .filter(({ deviceId }) => touched.has(deviceId) && enrolled.has(deviceId))
    .map((device) => onItsRung(device, ended.get(device.deviceId)));
  const chosen = new Set(devices.map(({ choice }) => choice?.recipeDigest));
  const variants = plan.frontier.filter(({ recipeDigest }) => chosen.has(recipeDigest));
  const fallbacks = plan.fallbacks.filter(({ recipeDigest }) => !chosen.has(recipeDigest));
  return { ...plan, devices, variants, fallbacks };
}

/** A device that had stepped down gets that rung as its choice, predicted to do what it proved it with. */
function onItsRung(planned: PlannedDevice, ended: RolloutDevice | undefined): PlannedDevice {
  const step = ended?.phase === "active" ? planned.ladder[ended.rung - 1] : undefined;
  if (ended === undefined || step === undefined || planned.choice === null) return planned;
  const { recipeDigest, variantName } = step;
  const proven = ended.proof?.timing ?? null;
  const measured = ({ median, p90 }: Sample): TimePrediction => ({
    value: median,
    relativeUncertainty: 0,
    p90Excess: Math.max(0, p90 / median - 1),
  });
  const upperEnd = (value: number): Prediction => ({ value, relativeUncertainty: 0 });
  const { prediction } = planned.choice;
  return {
    ...planned,
    choice: {
      recipeDigest,
      variantName,
      prediction: {
        ...prediction,
        tpotMs: proven === null ? { ...upperEnd(step.tpotP90Ms), p90Excess: 0 } : measured(proven.tpotMs),
        ttftMs: proven === null ? prediction.ttftMs : measured(proven.ttftMs),
        peakMemoryBytes: upperEnd(proven?.peakMemoryBytes ?? step.peakMemoryBytes),
      },
    },
    ladder: planned.ladder.slice(ended.rung),
    reason: ended.reason,
  };
}
