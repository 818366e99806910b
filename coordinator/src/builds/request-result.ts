import type { BuildJob } from "@espalier/shared/contracts/build";
import { EspalierError } from "@espalier/shared/errors";
import type { z } from "zod";
import type { BlobStore } from "../blobs/blob-store.ts";
import { readDocument } from "../blobs/read-tree.ts";
import { findJob } from "../store/jobs.ts";
import type { Store } from "../store/open.ts";
import type { Builds } from "./builds.ts";

/**
 * Asks a builder for a job whose result is one document, and waits for it; what was made before is there at once.
 * @throws {EspalierError} `build.failed`, `build.lost-result`
 */
export async function requestResult<Schema extends z.ZodType<object>>(
  { store, blobs, builds }: { store: Store; blobs: BlobStore; builds: Pick<Builds, "request" | "completed"> },
  job: BuildJob,
  schema: Schema,
  signal: AbortSignal,
  tell: (progress: { message: string; fraction: number }) => void,
): Promise<z.infer<Schema>> {
  await builds.request(job);
  await builds.completed(job.jobId, {
    signal,
    onProgress: ({ state, stage, message, fraction }) =>
      tell({ message: [state, stage, message].filter(Boolean).join(", "), fraction }),
  });
  const digest = (await findJob(store.db, job.jobId))?.resultDigest ?? null;
  if (digest === null) throw new EspalierError("build.lost-result", `the ${job.kind} job succeeded without a result`);
  return readDocument(blobs, digest, schema);
}
