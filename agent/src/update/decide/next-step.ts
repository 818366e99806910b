import { type Assignment, compareGenerations, type Generation } from "@espalier/shared/contracts/assignment";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { AgentState } from "../agent-state.ts";

export type AssignedVariant = NonNullable<Assignment["variant"]>;

export interface Facts {
  readonly state: AgentState;
  /** What answers requests in this process. */
  readonly serving: Digest | null;
  /** Complete variants on disk. */
  readonly held: ReadonlySet<Digest>;
  /** The trial in `state` was begun by this process, not by one that died. */
  readonly trialIsOurs: boolean;
}

export type Step =
  | { readonly action: "wait" }
  /** Load the active variant, which this process does not serve (any more). */
  | { readonly action: "restore" }
  /** The active variant can't be loaded: fall back to the previous one, or to none. */
  | { readonly action: "demote"; readonly reason: string; readonly fetchAgain: boolean }
  | { readonly action: "fail"; readonly generation: Generation; readonly digest: Digest; readonly reason: string }
  /** Tell the coordinator how a generation ended. */
  | { readonly action: "report"; readonly generation: Generation }
  /** Serve nothing, as assigned. */
  | { readonly action: "clear"; readonly generation: Generation }
  /** What is assigned already serves. */
  | { readonly action: "settle"; readonly generation: Generation }
  | { readonly action: "obtain"; readonly generation: Generation; readonly variant: AssignedVariant }
  | { readonly action: "prove"; readonly generation: Generation; readonly variant: AssignedVariant }
  | { readonly action: "collect"; readonly remove: readonly Digest[] };

/**
 * Times that a variant may be proven by a process that dies before it is done. Once is likely a power cut; twice is the
 * variant, which would otherwise take down what serves for ever.
 */
export const maxTrialAttempts = 2;

/** Starts that may die while loading a variant that once proved itself; a machine may lose power at a bad moment. */
export const maxRestoreAttempts = 3;

/**
 * The next thing to do. Serving comes first: what proved itself is restored before anything new is tried. A generation
 * is acted on until it is settled, and settled once; its end is reported from the state, so that a kill between the two
 * loses no report.
 */
export function nextStep({ state, serving, held, trialIsOurs }: Facts): Step {
  const { trial, active, assignment, settled } = state;
  if (trial !== null && !trialIsOurs && trial.attempts >= maxTrialAttempts) {
    const reason = `the agent died ${trial.attempts} times while it proved the variant (crash or out of memory)`;
    return { action: "fail", generation: trial.generation, digest: trial.artifactDigest, reason };
  }
  if (active !== null && serving !== active.artifactDigest) {
    if (!held.has(active.artifactDigest)) return { action: "demote", reason: "its files are gone", fetchAgain: true };
    if (state.restoreAttempts >= maxRestoreAttempts)
      return {
        action: "demote",
        reason: `the agent died ${state.restoreAttempts} times while it loaded it`,
        fetchAgain: false,
      };
    return { action: "restore" };
  }
  if (settled !== null && (state.reported === null || compareGenerations(settled, state.reported) !== 0))
    return { action: "report", generation: settled };
  if (assignment === null || (settled !== null && compareGenerations(assignment.generation, settled) <= 0))
    return collect(state, held);
  const { generation, variant } = assignment;
  if (variant === null) return { action: "clear", generation };
  if (!isVouched(state)) return { action: "wait" };
  if (active?.artifactDigest === variant.artifactDigest) return { action: "settle", generation };
  return held.has(variant.artifactDigest)
    ? { action: "prove", generation, variant }
    : { action: "obtain", generation, variant };
}

/** An assignment may be acted on when the coordinator named the same artifact for the same generation. */
function isVouched({ assignment, vouch }: AgentState): boolean {
  return (
    assignment !== null &&
    vouch !== null &&
    compareGenerations(assignment.generation, vouch.generation) === 0 &&
    assignment.variant?.artifactDigest === vouch.artifactDigest
  );
}

/** Keeps the active and the previous variant; a state that knows of no assignment lost it, and what is held may be it. */
function collect(state: AgentState, held: ReadonlySet<Digest>): Step {
  if (state.assignment === null) return { action: "wait" };
  const keep = new Set([state.active?.artifactDigest, state.previous?.artifactDigest]);
  const remove = [...held].filter((digest) => !keep.has(digest));
  return remove.length === 0 ? { action: "wait" } : { action: "collect", remove };
}
