import { setTimeout } from "node:timers/promises";
import { type BackoffPolicy, backoffDelayMs } from "@espalier/shared/backoff";
import type { Assignment, Generation } from "@espalier/shared/contracts/assignment";
import type { Digest } from "@espalier/shared/contracts/digest";
import { EspalierError, hasCode, messageOf } from "@espalier/shared/errors";
import { permanentDownloadErrors } from "../download/obtain-variant.ts";
import { nextStep, type Step } from "./decide/next-step.ts";
import * as transitions from "./decide/transitions.ts";
import { createExecutors, type Executors, type StepDeps } from "./steps.ts";

/*
 * INVARIANTS
 * 1. One step runs at a time, and what it is about is persisted before it acts.
 * 2. The active variant serves until the new one is proven, unless memory holds only one.
 * 3. A generation that failed is never tried again; one that was interrupted is.
 * 4. Crashes while a variant is proven are counted over restarts, and the second is its failure.
 * 5. An assignment older than what was settled, or that nobody vouched for, changes nothing.
 * 6. The active and the previous variant stay on disk; whatever else there is goes.
 */

export interface UpdaterDeps extends StepDeps {
  readonly backoff: BackoffPolicy;
  readonly random: () => number;
}

export interface Updater {
  /** Works until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
  assign(assignment: Assignment): Promise<void>;
  vouch(generation: Generation, artifactDigest: Digest): Promise<void>;
  /** Something outside has changed, e.g. a measured variant is on disk. */
  wake(): void;
}

export function createUpdater(deps: UpdaterDeps): Updater {
  const { state, slot, obtain, log, reporter } = deps;
  const executors = createExecutors({ ...deps, wake: () => wake() });
  let changed = Promise.withResolvers<void>();
  let running: { readonly step: Step; readonly abort: AbortController } | null = null;
  // A trial found at start was begun by a process that died.
  let trialIsOurs = state.value.trial === null;

  const decide = (): Step =>
    nextStep({
      state: state.value,
      serving: slot.current?.artifactDigest ?? null,
      held: new Set(obtain.variants.held()),
      trialIsOurs,
    });
  const wake = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  /** A download or proof of what is no longer assigned is given up. */
  const supersede = (): void => {
    const step = running?.step;
    if (step?.action !== "obtain" && step?.action !== "prove") return;
    const wanted = state.value.assignment;
    if (wanted?.variant?.artifactDigest !== step.variant.artifactDigest)
      running?.abort.abort(new Error("another variant is assigned"));
  };

  return {
    wake,
    async assign(assignment) {
      await state.change((now) => transitions.assigned(now, assignment));
      supersede();
      wake();
    },
    async vouch(generation, artifactDigest) {
      await state.change((now) => transitions.vouched(now, generation, artifactDigest));
      wake();
    },
    async run(signal) {
      let attempt = 0;
      const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      while (!signal.aborted) {
        const news = changed.promise;
        const step = decide();
        if (step.action === "wait") {
          await Promise.race([news, stopped]);
          continue;
        }
        const abort = new AbortController();
        running = { step, abort };
        try {
          await execute(executors, step, AbortSignal.any([signal, abort.signal]));
          if (step.action === "fail") trialIsOurs = true;
          attempt = 0;
        } catch (error) {
          if (signal.aborted) break;
          if (abort.signal.aborted) continue;
          attempt++;
          // What can't be recorded now, e.g. on a full disk, is decided and tried again.
          await handle(step, error).catch((problem: unknown) =>
            log.warn({ action: step.action, problem: messageOf(problem) }, "the failure could not be recorded"),
          );
          const waitMs = backoffDelayMs(deps.backoff, attempt, deps.random());
          await Promise.race([news, setTimeout(waitMs, undefined, { signal }).catch(() => undefined)]);
        } finally {
          running = null;
        }
      }
    },
  };

  /** What can't pass by itself ends the generation; anything else is told and tried again. */
  async function handle(step: Step, error: unknown): Promise<void> {
    const reason = messageOf(error);
    log.warn({ action: step.action, reason }, "step failed");
    if (step.action === "obtain") {
      const about = { generation: step.generation, artifactDigest: step.variant.artifactDigest };
      if (isPermanent(error)) {
        // What was fetched may be what fills the disk, and the failure is to be written to it.
        await deps.chunks.retain(new Set());
        await executors.fail({ ...about, action: "fail", digest: about.artifactDigest, reason }, never);
      } else await reporter.state(about, "downloading", { reason });
    } else if (step.action === "restore" && (hasCode(error, "file.unsafe") || hasCode(error, "variant.damaged"))) {
      // Otherwise the machine may be at fault, e.g. short of memory: it is tried as often as `nextStep` allows.
      await executors.demote({ action: "demote", reason, fetchAgain: true }, never);
    }
  }
}

const never = new AbortController().signal;

function isPermanent(error: unknown): boolean {
  if (error instanceof EspalierError) return permanentDownloadErrors.has(error.code);
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}

function execute(executors: Executors, step: Exclude<Step, { action: "wait" }>, signal: AbortSignal): Promise<void> {
  const executor: (step: never, signal: AbortSignal) => Promise<void> = executors[step.action];
  return executor(step as never, signal);
}
