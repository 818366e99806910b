import type { RolloutDevice, RolloutState, Verdict } from "@espalier/shared/contracts/rollout-state";
import { isSettled, observe } from "./device-phase.ts";
import type { RolloutFacts } from "./facts.ts";
import { failuresGate } from "./failures-gate.ts";
import type { Step, WaveState } from "./step.ts";
import { stepDown } from "./step-down.ts";
import { worstVerdict } from "./verdict.ts";
import { judgeWave } from "./wave-gates.ts";

/** One wave after another: assign, wait until every device has settled or too many failed, judge. */
export function decideRolling(state: RolloutState, facts: RolloutFacts, nowMs: number): readonly Step[] {
  const wave = state.waves.find(({ state: waveState }) => waveState !== "passed");
  if (wave === undefined) return [{ action: "enter", phase: "complete", reason: "" }];
  const devices = state.devices.filter((device) => device.wave === wave.index && device.phase !== "skipped");
  switch (wave.state) {
    case "waiting":
      return [{ action: "assign-wave", index: wave.index }];
    case "running":
      return watchWave(state, wave.index, devices, facts, nowMs);
    case "failed":
      return rollBack(state, wave.index);
    case "inconclusive": {
      const reason = `wave ${wave.name} is inconclusive: ${worstMessage(wave.gates)}`;
      return [{ action: "enter", phase: "paused", reason }];
    }
    case "passed":
      return [];
  }
}

function watchWave(
  state: RolloutState,
  index: number,
  devices: readonly RolloutDevice[],
  facts: RolloutFacts,
  nowMs: number,
): readonly Step[] {
  const byId = new Map(facts.devices.map((fact) => [fact.deviceId, fact]));
  const deadlineMs = state.spec.gates.deviceDeadlineSeconds * 1000;
  const context = { rolloutId: state.rolloutId, deadlineMs, nowMs };
  const changed = devices
    .map((device) => ({ before: device, after: observe(device, byId.get(device.deviceId), context) }))
    .filter(({ before, after }) => before.phase !== after.phase || before.progress !== after.progress)
    .map(({ after }) => after);
  if (changed.length > 0) {
    const failed = changed.filter(({ phase }) => phase === "failed");
    const others = changed.filter(({ phase }) => phase !== "failed");
    const smaller = failed.flatMap((device) => stepDown(device, state, nowMs) ?? []);
    const given = new Set(smaller.map(({ deviceId }) => deviceId));
    // A device with nothing left to step down to keeps serving its previous variant; assigning it makes what is decided say so too.
    const ended = failed.filter(({ deviceId }) => !given.has(deviceId));
    const steps: Step[] = [];
    if (others.length > 0) steps.push({ action: "record-devices", devices: others });
    if (smaller.length > 0) steps.push({ action: "step-down", devices: smaller });
    if (ended.length > 0) steps.push({ action: "revert", devices: ended });
    return steps;
  }
  const tooManyFailed = failuresGate(devices, state.spec.gates);
  if (tooManyFailed.verdict === "fail" && !devices.every(isSettled)) {
    return [{ action: "judge-wave", index, state: "failed", gates: [tooManyFailed] }];
  }
  if (!devices.every(isSettled)) return [];
  const gates = judgeWave(state, devices);
  return [{ action: "judge-wave", index, state: waveStates[worstVerdict(gates)], gates }];
}

const waveStates: Record<Verdict, WaveState> = {
  pass: "passed",
  fail: "failed",
  inconclusive: "inconclusive",
  error: "inconclusive",
};

/** Devices of the failed wave go back; those of other waves stay as they are. */
function rollBack(state: RolloutState, index: number): readonly Step[] {
  const wave = state.waves.find((other) => other.index === index);
  const toRevert = state.devices.filter(
    ({ wave: deviceWave, phase }) =>
      deviceWave === index &&
      (phase === "assigned" || phase === "working" || phase === "active" || phase === "offline"),
  );
  if (toRevert.length > 0) {
    const devices = toRevert.map((device) => ({
      ...device,
      phase: "rolled-back" as const,
      progress: "",
      reason: device.phase === "offline" ? `${device.reason}; goes back when it returns` : "its wave failed",
    }));
    return [{ action: "revert", devices }];
  }
  const reason = `wave ${wave?.name ?? index} failed: ${worstMessage(wave?.gates ?? [])}`;
  return [{ action: "enter", phase: "rolled-back", reason }];
}

function worstMessage(gates: RolloutState["waves"][number]["gates"]): string {
  const worst = worstVerdict(gates);
  return gates.find(({ verdict }) => verdict === worst)?.message ?? "";
}
