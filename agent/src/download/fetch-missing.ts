import type { Chunk, FileEntry } from "@espalier/shared/contracts/files";
import type { ArtifactBucket } from "./artifact-bucket.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { HeldChunks } from "./held-chunks.ts";

/** What is in memory at a time: two objects, each as it travels and as it lies on the disk, of at most 4 MiB both. */
const chunksInFlight = 2;

/** The chunks of these files that are not held, each once, in file order. */
export async function missingChunks(files: readonly FileEntry[], held: HeldChunks): Promise<Chunk[]> {
  const wanted = new Map(files.flatMap((file) => file.chunks).map((chunk) => [chunk.digest, chunk]));
  const missing: Chunk[] = [];
  for (const chunk of wanted.values()) if (!(await held.has(chunk.digest, chunk.sizeBytes))) missing.push(chunk);
  return missing;
}

export interface FetchDeps {
  readonly bucket: ArtifactBucket;
  readonly chunks: ChunkStore;
  /** Bytes that are stored, unpacked: fewer may have travelled. */
  readonly onStored: (sizeBytes: number) => void;
}

/**
 * Fetches chunks into the store. What has arrived stays, so that calling again after an error, a kill or an abort
 * continues where it stopped.
 * @throws the first error of `ArtifactBucket.read`
 */
export async function fetchChunks(deps: FetchDeps, missing: readonly Chunk[], signal: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const queue = missing.values();
  const worker = async (): Promise<void> => {
    for (const { digest, sizeBytes } of queue) {
      const bytes = await deps.bucket.read(digest, sizeBytes, either);
      await deps.chunks.put(digest, bytes);
      deps.onStored(sizeBytes);
    }
  };
  const workers = Array.from({ length: chunksInFlight }, () =>
    worker().catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  const outcomes = await Promise.allSettled(workers);
  signal.throwIfAborted();
  for (const outcome of outcomes) if (outcome.status === "rejected") throw failed.signal.reason;
}
