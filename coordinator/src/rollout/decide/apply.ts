import type { Plan } from "@espalier/shared/contracts/plan";
import type { GateResult, RolloutDevice, RolloutState } from "@espalier/shared/contracts/rollout-state";
import { plannedBuilds } from "../../plan/decide/planned-builds.ts";
import type { RolloutFacts } from "./facts.ts";
import { floorGate } from "./floor-gate.ts";
import type { BuildRow, StepOf } from "./step.ts";
import { chooseCanaries, nameWaves } from "./waves.ts";

/** The state with a plan: its builds, waves and devices. Earlier builds stay listed, so that a variant that fell below the floor is seen. */
export function adoptPlan(state: RolloutState, plan: Plan, facts: RolloutFacts): RolloutState {
  const canaries = chooseCanaries(plan.devices, state.spec.canaryShare);
  const served = plan.devices.filter(({ choice }) => choice !== null).length;
  const waves = nameWaves(canaries.size, served - canaries.size);
  const lastWave = Math.max(0, waves.length - 1);
  const builds = [
    ...state.builds,
    ...plannedBuilds(plan)
      .filter(({ recipeDigest }) => !state.builds.some((row) => row.recipeDigest === recipeDigest))
      .map(
        ({ recipeDigest, name, artifactDigest }): BuildRow => ({
          recipeDigest,
          variantName: name,
          jobId: null,
          state: artifactDigest === null ? "pending" : "succeeded",
          stage: "",
          fraction: artifactDigest === null ? 0 : 1,
          artifactDigest,
          message: "",
        }),
      ),
  ];
  // The planner leaves out what is below the floor; the gate records by which figures the others are above it.
  const floorGates = plannedBuilds(plan).flatMap(({ name, recipeDigest }) =>
    floorGate(name, facts.builds.get(recipeDigest)?.report ?? null, state.spec.qualityFloor),
  );
  return {
    ...state,
    phase: "building",
    reason: "",
    plan,
    builds,
    waves: waves.map((wave, index) => (index === 0 ? { ...wave, gates: floorGates } : wave)),
    devices: plan.devices.map((device) => plannedDevice(device, plan, canaries.has(device.deviceId) ? 0 : lastWave)),
  };
}

function plannedDevice(device: Plan["devices"][number], plan: Plan, wave: number): RolloutDevice {
  const variant = plan.variants.find(({ recipeDigest }) => recipeDigest === device.choice?.recipeDigest);
  return {
    deviceId: device.deviceId,
    name: device.name,
    wave,
    phase: device.choice === null ? "skipped" : "pending",
    rung: 0,
    artifactDigest: variant?.artifactDigest ?? null,
    previousArtifactDigest: null,
    assignedAtMs: null,
    progress: "",
    reason: device.choice === null ? device.reason : "",
    proof: null,
  };
}

export function applyBuilds(state: RolloutState, { builds }: StepOf<"record-builds">): RolloutState {
  return { ...state, builds: [...builds] };
}

/** Pending devices of the wave become assigned; what they run now is what they would go back to. */
export function applyAssignment(
  state: RolloutState,
  { index }: StepOf<"assign-wave">,
  facts: RolloutFacts,
  nowMs: number,
): RolloutState {
  const active = new Map(facts.devices.map((fact) => [fact.deviceId, fact.activeArtifactDigest]));
  return {
    ...state,
    waves: state.waves.map((wave) => (wave.index === index ? { ...wave, state: "running" } : wave)),
    devices: state.devices.map((device) =>
      device.wave !== index || device.phase !== "pending"
        ? device
        : {
            ...device,
            phase: "assigned",
            previousArtifactDigest: active.get(device.deviceId) ?? null,
            assignedAtMs: nowMs,
          },
    ),
  };
}

/** Replaces the devices that are given; others stay. */
export function applyDevices(state: RolloutState, devices: readonly RolloutDevice[]): RolloutState {
  const changed = new Map(devices.map((device) => [device.deviceId, device]));
  return { ...state, devices: state.devices.map((device) => changed.get(device.deviceId) ?? device) };
}

/** Gates add to those that the wave already has (the quality floor's). */
export function applyVerdict(state: RolloutState, step: StepOf<"judge-wave">): RolloutState {
  const judge = (gates: readonly GateResult[]) => [...gates, ...step.gates];
  return {
    ...state,
    waves: state.waves.map((wave) =>
      wave.index === step.index ? { ...wave, state: step.state, gates: judge(wave.gates) } : wave,
    ),
  };
}

export function applyPhase(state: RolloutState, { phase, reason }: StepOf<"enter">): RolloutState {
  return { ...state, phase, reason };
}
