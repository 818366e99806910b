import type { BuildJob } from "@espalier/shared/contracts/build";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import type { SensitivityReport } from "@espalier/shared/contracts/report";
import type { WeightFormat } from "@espalier/shared/contracts/shape";
import { EspalierError } from "@espalier/shared/errors";
import { findJob, requestJob, type StoredJob } from "../store/jobs.ts";
import { findKit, type StoredKit } from "../store/kits.ts";
import type { Store } from "../store/open.ts";
import { findSensitivity } from "../store/sensitivity.ts";
import { findVariantByBuild, type StoredVariant } from "../store/variants.ts";
import {
  type BuildSettings,
  composeBuild,
  composeKit,
  composeSensitivity,
  formatsKey,
  type ModelSource,
} from "./compose-job.ts";

export interface WaitOptions {
  onProgress?: (job: StoredJob) => void;
  signal?: AbortSignal;
}

/** What builders make, asked for by content: the same request twice is one job, before and after a restart. */
export interface Builds {
  /** Stores the job and owes it to the queue, unless it is there. A dead job is queued anew. */
  request(job: BuildJob): Promise<void>;
  /**
   * Resolves when the job has succeeded and its result is in store and blobs.
   * @throws {EspalierError} `build.failed`; the signal's reason when aborted (the job goes on)
   */
  completed(jobId: Digest, options?: WaitOptions): Promise<void>;
  ensureKit(model: ModelSource, formats: readonly WeightFormat[], options?: WaitOptions): Promise<StoredKit>;
  ensureSensitivity(
    settings: BuildSettings,
    candidates: readonly Recipe[],
    options?: WaitOptions,
  ): Promise<SensitivityReport>;
  ensureVariant(settings: BuildSettings, recipe: Recipe, options?: WaitOptions): Promise<StoredVariant>;
  /** Tells `completed` and other listeners that a job's row changed. */
  jobChanged(jobId: Digest): void;
  /** @returns how to stop listening */
  onJobChanged(listener: (jobId: Digest) => void): () => void;
}

/** Rows are looked at again at least this often, in case a change was made by another process. */
const lookAgainMs = 2_000;

export function createBuilds(parts: { store: Store; wakeOutbox: () => void; clock: () => number }): Builds {
  const { store, wakeOutbox, clock } = parts;
  const listeners = new Set<(jobId: Digest) => void>();

  async function request(job: BuildJob): Promise<void> {
    const queued = await store.inTransaction((transaction) => requestJob(transaction, job, clock()));
    if (queued) wakeOutbox();
  }

  async function completed(jobId: Digest, { onProgress, signal }: WaitOptions = {}): Promise<void> {
    for (let told = ""; ; ) {
      signal?.throwIfAborted();
      const changed = nextChange(jobId, signal);
      const job = await findJob(store.db, jobId);
      if (job === null)
        throw new EspalierError("build.unknown-job", `there is no build job ${jobId}`, { fields: { jobId } });
      const standing = JSON.stringify([job.attempt, job.state, job.stage, job.fraction, job.message]);
      if (standing !== told) onProgress?.(job);
      told = standing;
      if (job.state === "succeeded") return;
      if (job.state === "dead") {
        throw new EspalierError("build.failed", `the ${job.job.kind} job failed: ${job.message}`, {
          fields: { jobId, kind: job.job.kind },
          remedy: "see the builder's log; starting again queues the job anew",
        });
      }
      await changed;
    }
  }

  /** Resolves when the job's row may have changed, or it is time to look again. */
  function nextChange(jobId: Digest, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        listeners.delete(listener);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const listener = (changed: Digest) => {
        if (changed === jobId) done();
      };
      const timer = setTimeout(done, lookAgainMs);
      signal?.addEventListener("abort", done);
      listeners.add(listener);
    });
  }

  /** The result of a job, asked for when it isn't there. */
  async function ensure<Result>(
    job: BuildJob,
    find: () => Promise<Result | null>,
    options: WaitOptions | undefined,
  ): Promise<Result> {
    const known = await find();
    if (known !== null) return known;
    await request(job);
    await completed(job.jobId, options);
    const made = await find();
    if (made === null) {
      throw new EspalierError("build.lost-result", `the ${job.kind} job succeeded, but its result is gone`, {
        fields: { jobId: job.jobId },
      });
    }
    return made;
  }

  return {
    request,
    completed,
    ensureKit: (model, formats, options) =>
      ensure(
        composeKit(model, formats),
        () => findKit(store.db, { modelDigest: model.digest, formatsKey: formatsKey(formats) }),
        options,
      ),
    ensureSensitivity(settings, candidates, options) {
      const job = composeSensitivity(settings, candidates);
      return ensure(job, () => findSensitivity(store.db, { modelDigest: job.modelDigest, key: job.jobId }), options);
    },
    ensureVariant(settings, recipe, options) {
      const job = composeBuild(settings, recipe);
      return ensure(job, () => findVariantByBuild(store.db, job.jobId), options);
    },
    jobChanged(jobId) {
      for (const listener of [...listeners]) listener(jobId);
    },
    onJobChanged(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
