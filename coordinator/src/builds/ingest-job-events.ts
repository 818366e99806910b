import { BuildJob, BuildProgress } from "@espalier/shared/contracts/build";
import type { Digest } from "@espalier/shared/contracts/digest";
import { hasCode, messageOf } from "@espalier/shared/errors";
import type { Logger } from "@espalier/shared/logging";
import { z } from "zod";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Inbox } from "../nats/inbox.ts";
import { applyJobProgress, findJob, markJobDead } from "../store/jobs.ts";
import type { Store } from "../store/open.ts";
import { intakeResult } from "./intake-result.ts";

/** What builders put on BUILD_DEAD. */
export const DeadJob = z.object({ job: BuildJob, reason: z.string(), attempts: z.int().nonnegative() });

export interface JobEventDependencies {
  store: Store;
  blobs: BlobStore;
  inbox: Inbox;
  clock: () => number;
  log: Logger;
  /** Told after a job's row changed. */
  onJobChanged: (jobId: Digest) => void;
}

export interface JobEvents {
  progress(message: unknown): Promise<void>;
  dead(message: unknown): Promise<void>;
}

/**
 * Applies what builders say to the `jobs` rows, any number of times and in any order.
 * INVARIANT: a job is `succeeded` only together with the rows of its result, whose bytes are all in the blob store.
 * Errors that may pass (broker, disk) are thrown, so that the message comes again; messages that break their contract
 * are dropped with a warning.
 */
export function ingestJobEvents({ store, blobs, inbox, clock, log, onJobChanged }: JobEventDependencies): JobEvents {
  async function succeeded(progress: BuildProgress): Promise<void> {
    const row = await findJob(store.db, progress.jobId);
    if (row === null || row.state === "succeeded" || row.state === "dead") return;
    if (progress.resultDigest === null) {
      await markJobDead(store.db, {
        jobId: progress.jobId,
        message: "the builder succeeded without a result",
        nowMs: clock(),
      });
      onJobChanged(progress.jobId);
      return;
    }
    try {
      const record = await intakeResult({ blobs, inbox }, row.job, progress.resultDigest);
      await store.inTransaction(async (transaction) => {
        if (await applyJobProgress(transaction, progress)) await record(transaction, clock());
      });
      onJobChanged(progress.jobId);
    } catch (error) {
      if (!hasCode(error, "build.invalid-result")) throw error;
      log.warn({ jobId: progress.jobId, err: error }, "a builder's result was refused");
      await markJobDead(store.db, { jobId: progress.jobId, message: error.message, nowMs: clock() });
      onJobChanged(progress.jobId);
    }
  }

  return {
    async progress(message) {
      const parsed = BuildProgress.safeParse(message);
      if (!parsed.success) {
        log.warn({ problem: messageOf(parsed.error) }, "a build event breaks its contract and is dropped");
        return;
      }
      if (parsed.data.state === "succeeded") await succeeded(parsed.data);
      else if (await applyJobProgress(store.db, parsed.data)) onJobChanged(parsed.data.jobId);
    },
    async dead(message) {
      const parsed = DeadJob.safeParse(message);
      if (!parsed.success) {
        log.warn({ problem: messageOf(parsed.error) }, "a dead-letter message breaks its contract and is dropped");
        return;
      }
      const { job, reason, attempts } = parsed.data;
      const text = `given up after ${attempts} attempts: ${reason}`.slice(0, 4000);
      if (await markJobDead(store.db, { jobId: job.jobId, message: text, nowMs: clock() })) onJobChanged(job.jobId);
    },
  };
}
