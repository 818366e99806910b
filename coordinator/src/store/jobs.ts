import { BuildJob, type BuildProgress } from "@espalier/shared/contracts/build";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { JobRow, Queries, StoreTransaction } from "./database.ts";
import { readJson } from "./json-column.ts";
import { enqueue } from "./outbox.ts";

export type JobState = "queued" | "running" | "retrying" | "succeeded" | "dead";

/** A build job and how far it is. */
export interface StoredJob {
  readonly id: Digest;
  readonly job: BuildJob;
  readonly state: JobState;
  readonly attempt: number;
  readonly stage: string;
  readonly fraction: number;
  readonly message: string;
  readonly builderId: string | null;
  /** With `succeeded`: digest of the manifest, kit or sensitivity report. */
  readonly resultDigest: Digest | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/**
 * Asks for a job: stores it and owes it to the queue. The same job asked again is left alone, except a dead one, which
 * is queued anew.
 * @returns whether it was queued now
 */
export async function requestJob(transaction: StoreTransaction, job: BuildJob, nowMs: number): Promise<boolean> {
  const fresh = { state: "queued", attempt: 0, sequence: 0, stage: "", fraction: 0, message: "", updatedAtMs: nowMs };
  const queued = await transaction
    .insertInto("jobs")
    .values({
      ...fresh,
      id: job.jobId,
      kind: job.kind,
      job: JSON.stringify(job),
      builderId: null,
      resultDigest: null,
      createdAtMs: nowMs,
    })
    .onConflict((conflict) => conflict.column("id").doUpdateSet(fresh).where("jobs.state", "=", "dead"))
    .returning("id")
    .executeTakeFirst();
  if (queued === undefined) return false;
  await enqueue(transaction, { kind: "job", subject: job.jobId, nowMs });
  return true;
}

/**
 * Applies what a builder said, in any order and any number of times: only a later (attempt, sequence) moves a job, and
 * an end (`succeeded`, `dead`) is final.
 * @returns whether the job moved; false as well for a job that is unknown
 */
export async function applyJobProgress(db: Queries, progress: BuildProgress): Promise<boolean> {
  const moved = await db
    .updateTable("jobs")
    .set({
      state: progress.state,
      attempt: progress.attempt,
      sequence: progress.sequence,
      stage: progress.stage,
      fraction: progress.fraction,
      message: progress.message,
      builderId: progress.builderId,
      resultDigest: progress.resultDigest,
      updatedAtMs: progress.atMs,
    })
    .where("id", "=", progress.jobId)
    .where("state", "not in", ["succeeded", "dead"])
    .where((where) =>
      where.or([
        where("attempt", "<", progress.attempt),
        where.and([where("attempt", "=", progress.attempt), where("sequence", "<", progress.sequence)]),
        // The first word of the first attempt: a fresh row stands at (0, 0), a first sequence may be 0.
        where("state", "=", "queued"),
      ]),
    )
    .returning("id")
    .executeTakeFirst();
  return moved !== undefined;
}

/** Marks a job that will not be tried again, e.g. from the dead-letter stream. A job that succeeded stays so. */
export async function markJobDead(
  db: Queries,
  { jobId, message, nowMs }: { jobId: Digest; message: string; nowMs: number },
): Promise<boolean> {
  const moved = await db
    .updateTable("jobs")
    .set({ state: "dead", message, updatedAtMs: nowMs })
    .where("id", "=", jobId)
    .where("state", "not in", ["succeeded", "dead"])
    .returning("id")
    .executeTakeFirst();
  return moved !== undefined;
}

export async function findJob(db: Queries, jobId: Digest): Promise<StoredJob | null> {
  const row = await db.selectFrom("jobs").selectAll().where("id", "=", jobId).executeTakeFirst();
  return row === undefined ? null : fromRow(row);
}

/** Newest first, only those in one of `states` when given. */
export async function listJobs(db: Queries, filter: { states?: readonly JobState[] } = {}): Promise<StoredJob[]> {
  let query = db.selectFrom("jobs").selectAll().orderBy("createdAtMs", "desc");
  if (filter.states !== undefined) query = query.where("state", "in", filter.states);
  return (await query.execute()).map(fromRow);
}

function fromRow({ kind: _kind, sequence: _sequence, ...row }: JobRow): StoredJob {
  return { ...row, job: readJson(row.job, BuildJob, `job ${row.id}`), state: row.state as JobState };
}
