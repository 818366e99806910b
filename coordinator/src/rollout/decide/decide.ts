import type { RolloutPhase, RolloutState } from "@espalier/shared/contracts/rollout-state";
import { decideBuilding } from "./building.ts";
import { isInFlight } from "./device-phase.ts";
import type { RolloutFacts } from "./facts.ts";
import { decidePlanning } from "./planning.ts";
import { tellPlanning } from "./planning-progress.ts";
import { decideRolling } from "./rolling.ts";
import type { Step } from "./step.ts";

/** Phases in which a rollout moves by itself. */
export const movingPhases = ["planning", "building", "rolling"] as const satisfies readonly RolloutPhase[];

/** Phases that a rollout never leaves. */
export const finalPhases = ["complete", "aborted", "failed", "rolled-back"] as const satisfies readonly RolloutPhase[];

/**
 * What to do next. Pure: the same state, facts and time give the same steps; no steps means to wait for the facts to
 * change. Asked again after each step was recorded, it leads a rollout to a final phase from wherever it stands.
 */
export function decide(state: RolloutState, facts: RolloutFacts, nowMs: number): readonly Step[] {
  switch (state.phase) {
    case "planning":
      return orElse(decidePlanning(state, facts, nowMs), () => tellPlanning(state, facts));
    case "building":
      return decideBuilding(state, facts);
    case "rolling":
      return decideRolling(state, facts, nowMs);
    case "aborted":
      return decideAborted(state);
    case "paused":
    case "complete":
    case "failed":
    case "rolled-back":
      return [];
  }
}

function orElse(steps: readonly Step[], others: () => readonly Step[]): readonly Step[] {
  return steps.length > 0 ? steps : others();
}

/** Devices that had not finished go back; those that proved their variant keep it. */
function decideAborted(state: RolloutState): readonly Step[] {
  const inFlight = state.devices.filter(isInFlight);
  if (inFlight.length === 0) return [];
  const devices = inFlight.map((device) => ({
    ...device,
    phase: "rolled-back" as const,
    reason: "the rollout was aborted before the device had finished",
  }));
  return [{ action: "revert", devices }];
}
