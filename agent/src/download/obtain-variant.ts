import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "@espalier/shared/contracts/digest";
import { artifactFiles } from "@espalier/shared/contracts/manifest";
import { EspalierError } from "@espalier/shared/errors";
import type { ArtifactBucket } from "./artifact-bucket.ts";
import { assembleFiles, checkPlainFiles } from "./assemble.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { freeBytes, usedBytes } from "./disk-usage.ts";
import { fetchChunks, missingChunks } from "./fetch-missing.ts";
import { findHeldChunks } from "./held-chunks.ts";
import { type ExpectedArtifact, readManifest } from "./manifest-check.ts";
import { makeRoom } from "./room.ts";
import type { VariantStore } from "./variant-store.ts";

export interface ObtainDeps {
  readonly bucket: ArtifactBucket;
  readonly chunks: ChunkStore;
  readonly variants: VariantStore;
  /** The data folder: what counts against the disk budget. */
  readonly dataRoot: string;
  readonly diskBudgetBytes: number | null;
  /** Held variants that may be deleted for room, least needed first. */
  readonly evictable: () => readonly Digest[];
  /** Copies inside assembled variants that turned out bad; outlives a call so that a retry fetches them. */
  readonly damaged: Set<string>;
}

/** Bytes of the variant's files that the device holds, and of all of them: as they lie on the disk. */
export interface ObtainProgress {
  readonly phase: "downloading" | "verifying";
  readonly downloadedBytes: number;
  readonly totalBytes: number;
}

export interface WantedArtifact extends ExpectedArtifact {
  readonly manifestBytes: number;
}

/** Codes of errors after which the same artifact must not be tried again on this device as it is. */
export const permanentDownloadErrors: ReadonlySet<string> = new Set([
  "manifest.digest",
  "manifest.invalid",
  "file.digest",
  "disk.refused",
]);

/**
 * Makes a variant held: fetches the chunks the device lacks, assembles and verifies the files. Does nothing for a
 * variant that is held. Safe to kill and call again at any point.
 * @throws {EspalierError} `disk.refused` before anything is fetched that would not fit; errors of the parts
 */
export async function obtainVariant(
  deps: ObtainDeps,
  wanted: WantedArtifact,
  onProgress: (progress: ObtainProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const { bucket, chunks, variants, damaged } = deps;
  const { artifactDigest } = wanted;
  if (variants.has(artifactDigest)) return;
  const manifestBytes = await bucket.read(artifactDigest, wanted.manifestBytes, signal);
  const manifest = readManifest(manifestBytes, wanted);
  const held = findHeldChunks(chunks, variants, damaged);
  const missing = await missingChunks(manifest.files, held);
  const missingBytes = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  await checkRoom(deps, missingBytes + manifest.totalBytes);

  let downloadedBytes = Math.max(0, manifest.totalBytes - missingBytes);
  const report = (phase: ObtainProgress["phase"]): void =>
    onProgress({ phase, downloadedBytes, totalBytes: manifest.totalBytes });
  report("downloading");
  const onStored = (sizeBytes: number): void => {
    downloadedBytes += sizeBytes;
    report("downloading");
  };
  await fetchChunks({ bucket, chunks, onStored }, missing, signal);

  report("verifying");
  const folder = variants.temporaryFolder(artifactDigest);
  await assembleFiles(folder, manifest.files, held, signal);
  await writeFile(join(folder, artifactFiles.manifest), manifestBytes, { flag: "wx", flush: true });
  await checkPlainFiles(folder, manifest.files);
  await variants.adopt(artifactDigest, manifest);
  // Now part of the variant; a kill before this line leaves them to the next clean-up.
  for (const file of manifest.files) for (const { digest } of file.chunks) await chunks.remove(digest);
}

async function checkRoom({ variants, dataRoot, diskBudgetBytes, evictable }: ObtainDeps, neededBytes: number) {
  const room = makeRoom({
    neededBytes,
    freeBytes: await freeBytes(dataRoot),
    usedBytes: await usedBytes(dataRoot),
    budgetBytes: diskBudgetBytes,
    evictable: evictable().map((artifactDigest) => ({
      artifactDigest,
      sizeBytes: variants.manifest(artifactDigest)?.totalBytes ?? 0,
    })),
  });
  if (room.kind === "refused") throw new EspalierError("disk.refused", room.reason);
  for (const artifactDigest of room.evict) await variants.remove(artifactDigest);
}
