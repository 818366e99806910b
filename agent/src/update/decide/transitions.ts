import { type Assignment, compareGenerations, type Generation } from "@espalier/shared/contracts/assignment";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { AgentState, Failure, Installed } from "../agent-state.ts";

/**
 * Takes an assignment in. Ignored: repeats, and what is not newer than what was settled or is being acted on. An
 * assignment that nobody vouched for is replaced by any other, since it may be forged with a huge generation.
 */
export function assigned(state: AgentState, assignment: Assignment): AgentState {
  const { settled, assignment: current, vouch } = state;
  if (settled !== null && compareGenerations(assignment.generation, settled) <= 0) return state;
  const currentCounts =
    current !== null && vouch !== null && compareGenerations(current.generation, vouch.generation) === 0;
  if (current !== null && currentCounts && compareGenerations(assignment.generation, current.generation) <= 0)
    return state;
  if (current !== null && JSON.stringify(current) === JSON.stringify(assignment)) return state;
  return { ...state, assignment };
}

/** Takes a vouch in; the newest counts. */
export function vouched(state: AgentState, generation: Generation, artifactDigest: Digest): AgentState {
  const { vouch } = state;
  if (vouch !== null && compareGenerations(generation, vouch.generation) <= 0) return state;
  return { ...state, vouch: { generation, artifactDigest } };
}

export function trialBegun(state: AgentState, generation: Generation, artifactDigest: Digest): AgentState {
  const { trial } = state;
  const isAgain = trial !== null && compareGenerations(trial.generation, generation) === 0;
  return { ...state, trial: { generation, artifactDigest, attempts: (isAgain ? trial.attempts : 0) + 1 } };
}

/** The process stops (or the assignment changed) before the trial has an end: it didn't fail, it begins anew. */
export function trialAbandoned(state: AgentState): AgentState {
  return state.trial === null ? state : { ...state, trial: null };
}

export function failed(state: AgentState, failure: Failure): AgentState {
  return { ...state, trial: null, settled: failure.generation, failures: [...state.failures, failure].slice(-20) };
}

/** The variant proved itself: it is what a restart loads from now on. */
export function activated(state: AgentState, generation: Generation, installed: Installed): AgentState {
  const previous = state.active ?? state.previous;
  return {
    ...state,
    trial: null,
    settled: generation,
    active: installed,
    previous: previous?.artifactDigest === installed.artifactDigest ? null : previous,
    restoreAttempts: 0,
  };
}

/** The end of a generation is in the outbox. */
export function reported(state: AgentState, generation: Generation): AgentState {
  return { ...state, reported: generation };
}

export function settledUnchanged(state: AgentState, generation: Generation): AgentState {
  return { ...state, trial: null, settled: generation };
}

export function cleared(state: AgentState, generation: Generation): AgentState {
  return { ...state, trial: null, settled: generation, active: null, previous: state.active ?? state.previous };
}

/**
 * The active variant can't be loaded any more; the one before it is tried next. With `fetchAgain` the assignment counts
 * as not reached, so that what was damaged on disk is fetched and proven again; without, as failed after all.
 */
export function demoted(state: AgentState, why: { fetchAgain: boolean; reason: string; atMs: number }): AgentState {
  const { active, assignment, previous } = state;
  const next: AgentState = { ...state, active: previous, previous: null, restoreAttempts: 0 };
  if (why.fetchAgain) return { ...next, settled: null, reported: null };
  if (active === null || assignment?.variant?.artifactDigest !== active.artifactDigest) return next;
  const { artifactDigest, proof } = active;
  const reason = `the active variant can't be loaded any more: ${why.reason}`;
  const failure = { generation: assignment.generation, artifactDigest, reason, proof, atMs: why.atMs };
  return { ...failed(next, failure), reported: null };
}
