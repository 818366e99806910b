import type { Logger } from "@espalier/shared/logging";
import { listAssignments } from "../store/assignments.ts";
import { listJobs } from "../store/jobs.ts";
import { listKits } from "../store/kits.ts";
import type { Store } from "../store/open.ts";
import type { Projection } from "./projection.ts";

/** What one reconciliation had to write again. */
export interface Repairs {
  readonly assignments: number;
}

/**
 * Compares the broker with the truth and writes what is missing: topology, assigned artifacts, assignments, kits and
 * unfinished jobs. After a lost or deleted broker folder this rebuilds all of it.
 */
export async function reconcile(parts: {
  store: Store;
  projection: Projection;
  ensureTopology: () => Promise<void>;
  /** Whether every build event on the broker has been read: before that, a job that is done may still look unfinished. */
  hasReadBuildEvents: () => Promise<boolean>;
  log: Logger;
}): Promise<Repairs> {
  const { store, projection, log } = parts;
  await parts.ensureTopology();
  /** What can't be written, e.g. for a lost blob, holds up nothing else. */
  const tolerate = async <Result>(what: string, work: Promise<Result>): Promise<Result | null> => {
    try {
      return await work;
    } catch (error) {
      log.warn({ err: error }, `could not write ${what} to the broker again`);
      return null;
    }
  };
  const assigned = await listAssignments(store.db);
  const artifacts = new Set(assigned.flatMap(({ variant }) => (variant === null ? [] : [variant.artifactDigest])));
  for (const kit of await listKits(store.db)) artifacts.add(kit.digest);
  for (const digest of artifacts) await tolerate(`artifact ${digest}`, projection.putArtifact(digest));
  let assignments = 0;
  for (const assignment of assigned) {
    const what = `the assignment of ${assignment.deviceId}`;
    if (await tolerate(what, projection.repairAssignment(assignment))) assignments += 1;
  }
  if (await parts.hasReadBuildEvents()) {
    for (const { job, updatedAtMs } of await listJobs(store.db, { states: ["queued", "running", "retrying"] })) {
      // A job that is being built is still in the queue until acknowledged, where a second copy is refused.
      const messageId = `${job.jobId}-reconciled-${updatedAtMs}`;
      await tolerate(`job ${job.jobId}`, projection.publishJob(job, messageId));
    }
  }
  return { assignments };
}

/** Reconciles at start, when the broker comes back and at intervals; one run at a time. */
export function startReconciler(options: { run: () => Promise<Repairs>; intervalMs: number; log: Logger }): {
  wake(): Promise<void>;
  stop(): Promise<void>;
} {
  const { run, intervalMs, log } = options;
  let running: Promise<void> | null = null;
  let again = false;
  let stopped = false;

  async function work(): Promise<void> {
    do {
      again = false;
      try {
        const repairs = await run();
        if (repairs.assignments > 0) log.info(repairs, "the broker lacked what the database says; written again");
      } catch (error) {
        if (!stopped) log.warn({ err: error }, "reconciliation failed; will try again");
      }
    } while (again && !stopped);
  }

  function wake(): Promise<void> {
    if (running !== null) {
      again = true;
      return running;
    }
    running = work().finally(() => {
      running = null;
    });
    return running;
  }

  const timer = setInterval(() => void wake(), intervalMs);
  return {
    wake,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}
