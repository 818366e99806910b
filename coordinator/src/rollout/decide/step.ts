import type { Digest } from "@espalier/shared/contracts/digest";
import type { GateResult, RolloutDevice, RolloutPhase, RolloutState } from "@espalier/shared/contracts/rollout-state";

export type BuildRow = RolloutState["builds"][number];
export type WaveState = RolloutState["waves"][number]["state"];

/**
 * What to do next for a rollout. Steps of one decision don't depend on one another; each is safe to carry out again
 * when the coordinator was killed before it was recorded.
 */
export type Step =
  | { action: "request-kit" }
  | { action: "request-sensitivity" }
  | { action: "measure"; deviceIds: readonly string[] }
  /** `built-first`: only built variants, as long as they leave no device without one that had one. */
  | { action: "make-plan"; scope: "all" | "built-first" }
  | { action: "request-builds"; recipeDigests: readonly Digest[] }
  | { action: "record-builds"; builds: readonly BuildRow[] }
  /** Gives every pending device of the wave its variant. */
  | { action: "assign-wave"; index: number }
  | { action: "record-devices"; devices: readonly RolloutDevice[] }
  /** Assigns each device the next variant of its ladder, and records why. */
  | { action: "step-down"; devices: readonly RolloutDevice[] }
  /** Assigns each device what it ran before the rollout (nothing, if nothing), and records it as given. */
  | { action: "revert"; devices: readonly RolloutDevice[] }
  | { action: "judge-wave"; index: number; state: WaveState; gates: readonly GateResult[] }
  | { action: "enter"; phase: RolloutPhase; reason: string };

export type StepOf<Action extends Step["action"]> = Extract<Step, { action: Action }>;
