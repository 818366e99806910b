import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import type { Logger } from "@espalier/shared/logging";
import { resolveSpec } from "../plan/resolve-spec.ts";
import { listDevices } from "../store/devices.ts";
import { recordEvent } from "../store/events.ts";
import { findRollout, insertRollout, listRollouts, updateRollout } from "../store/rollouts.ts";
import { collectFacts } from "./collect-facts.ts";
import { adoptPlan } from "./decide/apply.ts";
import { type ControlAction, control } from "./decide/control.ts";
import { decide, movingPhases } from "./decide/decide.ts";
import { isInFlight } from "./decide/device-phase.ts";
import type { Step } from "./decide/step.ts";
import { predecessorOf, undoPlan } from "./decide/undo.ts";
import { newRollout, requireNameFree } from "./new-rollout.ts";
import { rolloutJobs } from "./rollout-jobs.ts";
import {
  createStepExecutors,
  type ExecutorDependencies,
  type Outcome,
  type StepContext,
  type StepExecutors,
} from "./step-executors.ts";

export interface RolloutEngine {
  /** @throws {EspalierError} `rollout-spec.invalid`, `rollout.exists` when one of that name is under way */
  start(spec: unknown): Promise<RolloutState>;
  /**
   * Starts a rollout that brings back what the undone one's predecessor had planned, behind the predecessor's gates.
   * @throws {EspalierError} `rollout.unknown`, `rollout.exists`, `rollout.not-controllable`, `rollout.no-predecessor`
   */
  undo(rollout: string): Promise<RolloutState>;
  /** @throws {EspalierError} `rollout.unknown`, `rollout.not-controllable` */
  control(rollout: string, action: ControlAction, who: string): Promise<RolloutState>;
  /** Something changed that rollouts may wait for. */
  wake(): void;
  /** Told after each change of a rollout. @returns how to stop listening */
  onChanged(listener: (state: RolloutState) => void): () => void;
  /** Resolves when a pass over all rollouts, begun now, is over. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

export interface EngineOptions extends ExecutorDependencies {
  clock: () => number;
  newId: () => string;
  wakeOutbox: () => void;
  log: Logger;
  /** Facts that nobody announces (deadlines, a device gone) are looked at this often. */
  tickMs?: number;
}

/** A step may lead to the next at once; more rounds than this in one tick would be a loop. */
const maxRounds = 50;
/** Devices connect again within this time after the coordinator started, new ones after they enrolled. */
const connectGraceMs = 10_000;
/** A rollout whose steps fail as often in a row is paused for a person to look at. */
const maxFailures = 5;

/**
 * Drives every rollout by `decide` and carries out its steps.
 * INVARIANTS
 * - One change of rollouts at a time, and each is in the database, with the assignments it decides, before the next.
 * - Nothing is remembered but what is stored: killed anywhere, the next tick decides again from the stored state, and
 *   repeating a step that was not recorded changes nothing (jobs by content, assignments by generation).
 */
export function startRolloutEngine(options: EngineOptions): RolloutEngine {
  const { store, clock, log, wakeOutbox, tickMs = 1_000 } = options;
  const executors = createStepExecutors(options);
  const listeners = new Set<(state: RolloutState) => void>();
  const failures = new Map<string, number>();
  let turn: Promise<unknown> = Promise.resolve();
  let passWaiting: Promise<void> | null = null;
  let stopped = false;
  const startedAtMs = clock();

  /** Runs `work` after all that was asked before. */
  function exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  async function save(previous: RolloutState, { state, write }: Outcome): Promise<RolloutState> {
    const next = { ...state, updatedAtMs: clock() };
    await store.inTransaction(async (transaction) => {
      await write?.(transaction);
      await updateRollout(transaction, next);
      if (next.phase !== previous.phase) await recordPhase(transaction, next);
    });
    if (write !== undefined) wakeOutbox();
    if (next.phase !== previous.phase)
      log.info({ rolloutId: next.rolloutId, phase: next.phase, reason: next.reason }, "rollout");
    for (const listener of [...listeners]) listener(next);
    return next;
  }

  async function advance(rollout: RolloutState): Promise<void> {
    let state = rollout;
    const resolved = await resolveSpec(store.db, state.spec);
    const jobs = rolloutJobs(resolved);
    const connectGraceEndsAtMs = Math.max(startedAtMs, state.createdAtMs) + connectGraceMs;
    for (let round = 0; round < maxRounds && !stopped; round++) {
      const facts = await collectFacts({ ...options, connectGraceEndsAtMs, state, jobs });
      const steps = decide(state, facts, clock());
      if (steps.length === 0) return;
      let changed = false;
      for (const step of steps) {
        const outcome = await execute(executors, step, { state, resolved, jobs, facts, nowMs: clock() });
        if (outcome === null) continue;
        state = await save(state, outcome);
        changed = true;
      }
      // Only requests were made: their answers come as events.
      if (!changed) return;
    }
  }

  async function pass(): Promise<void> {
    const rollouts = await listRollouts(store.db, { phases: [...movingPhases, "aborted"] });
    for (const rollout of rollouts) {
      if (stopped) return;
      if (rollout.phase === "aborted" && !rollout.devices.some(isInFlight)) continue;
      try {
        await advance(rollout);
        failures.delete(rollout.rolloutId);
      } catch (error) {
        await countFailure(rollout, error);
      }
    }
  }

  async function countFailure(rollout: RolloutState, error: unknown): Promise<void> {
    const count = (failures.get(rollout.rolloutId) ?? 0) + 1;
    failures.set(rollout.rolloutId, count);
    log.error({ err: error, rolloutId: rollout.rolloutId, count }, "a rollout's step failed");
    if (count < maxFailures) return;
    failures.delete(rollout.rolloutId);
    const current = await findRollout(store.db, rollout.rolloutId);
    if (current === null || !(movingPhases as readonly string[]).includes(current.phase)) return;
    await save(current, { state: { ...current, phase: "paused", reason: `error: ${messageOf(error)}` } });
  }

  function schedulePass(): Promise<void> {
    passWaiting ??= exclusively(async () => {
      passWaiting = null;
      if (!stopped) await pass();
    }).catch((error: unknown) => log.error({ err: error }, "rollouts can't be read"));
    return passWaiting;
  }

  /** Stores a rollout that nobody of its name stands against; what it waits for is looked at at once. */
  async function begin(draft: () => Promise<RolloutState>): Promise<RolloutState> {
    const started = await exclusively(async () => {
      const state = await draft();
      await requireNameFree(store.db, state.spec.name);
      await store.inTransaction(async (transaction) => {
        await insertRollout(transaction, state);
        await recordPhase(transaction, state);
      });
      return state;
    });
    options.measurements.forgetFailures();
    void schedulePass();
    return started;
  }

  async function draftUndo(rollout: string): Promise<RolloutState> {
    const undone = await requireRollout(rollout);
    const predecessor = predecessorOf(undone, await listRollouts(store.db));
    const enrolled = new Set((await listDevices(store.db)).map(({ id }) => id));
    const plan = undoPlan(undone, predecessor, enrolled);
    const draft = { ...newRollout(predecessor.spec, options.newId(), clock()), plan };
    const jobs = rolloutJobs(await resolveSpec(store.db, draft.spec));
    const facts = await collectFacts({ ...options, connectGraceEndsAtMs: 0, state: draft, jobs });
    return { ...adoptPlan(draft, plan, facts), reason: `undoes ${undone.spec.name} (${undone.rolloutId})` };
  }

  async function requireRollout(rollout: string): Promise<RolloutState> {
    const state = await findRollout(store.db, rollout);
    if (state !== null) return state;
    throw new EspalierError("rollout.unknown", `there is no rollout ${rollout}`, {
      fields: { rollout },
      remedy: "see `espalier rollout list`",
    });
  }

  const timer = setInterval(() => void schedulePass(), tickMs);
  void schedulePass();

  return {
    async start(input) {
      const { spec } = await resolveSpec(store.db, input);
      return begin(async () => newRollout(spec, options.newId(), clock()));
    },
    undo: (rollout) => begin(() => draftUndo(rollout)),
    async control(rollout, action, who) {
      const controlled = await exclusively(async () => {
        const state = await requireRollout(rollout);
        return save(state, { state: control(state, action, who) });
      });
      void schedulePass();
      return controlled;
    },
    wake: () => void schedulePass(),
    onChanged(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    settle: schedulePass,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await turn;
    },
  };
}

function execute(executors: StepExecutors, step: Step, context: StepContext): Promise<Outcome | null> {
  const executor = executors[step.action] as (step: Step, context: StepContext) => Promise<Outcome | null>;
  return executor(step, context);
}

function recordPhase(transaction: Parameters<typeof recordEvent>[0], state: RolloutState): Promise<boolean> {
  return recordEvent(transaction, {
    atMs: state.updatedAtMs,
    rolloutId: state.rolloutId,
    kind: `rollout.${state.phase}`,
    message: state.reason,
  });
}
