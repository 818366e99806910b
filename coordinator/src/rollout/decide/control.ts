import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError } from "@espalier/shared/errors";
import { finalPhases } from "./decide.ts";

export type ControlAction = "pause" | "resume" | "abort";

/**
 * What an operator's word makes of a rollout. Resuming continues where the rollout stopped; resuming after an
 * inconclusive wave accepts that wave.
 * @throws {EspalierError} `rollout.not-controllable` when the word makes no sense in this phase
 */
export function control(state: RolloutState, action: ControlAction, who: string): RolloutState {
  const { phase } = state;
  if ((finalPhases as readonly string[]).includes(phase)) throw refused(state, action);
  switch (action) {
    case "pause":
      if (phase === "paused") throw refused(state, action);
      return { ...state, phase: "paused", reason: `paused by ${who}` };
    case "resume":
      if (phase !== "paused") throw refused(state, action);
      return resume(state, who);
    case "abort":
      return { ...state, phase: "aborted", reason: `aborted by ${who}` };
  }
}

function resume(state: RolloutState, who: string): RolloutState {
  const accepted = state.waves.some((wave) => wave.state === "inconclusive");
  const waves = state.waves.map((wave) =>
    wave.state === "inconclusive" ? { ...wave, state: "passed" as const } : wave,
  );
  const begun = waves.some((wave) => wave.state !== "waiting");
  const phase = state.plan === null ? "planning" : begun ? "rolling" : "building";
  return { ...state, phase, waves, reason: accepted ? `inconclusive wave accepted by ${who}` : "" };
}

function refused({ rolloutId, phase }: RolloutState, action: ControlAction): EspalierError {
  return new EspalierError("rollout.not-controllable", `a rollout that is ${phase} can't ${action}`, {
    fields: { rolloutId, phase, action },
  });
}
