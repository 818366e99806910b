import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import type { BackupEvent, BackupManifest } from "@espalier/shared/contracts/backup";
import type { Digest } from "@espalier/shared/contracts/digest";
import { blobPaths, readBlobs } from "../blobs/blob-store.ts";
import { dataNames, identityNames } from "../data-folder/layout.ts";
import { type ArchiveFile, writeArchive } from "./archive.ts";
import { snapshotDatabase } from "./snapshot.ts";

export const manifestName = "backup.json";

/**
 * Backs up a coordinator's data folder, running or not: the database as it is at one moment, every blob (its digest
 * verified) and the identities. The broker's data is left out: it is written anew from these.
 *
 * The database comes before the blobs: a blob is stored before a row names it, and never changes, so all that the
 * copied rows name is there when the blobs are listed.
 * @throws {EspalierError} `backup.exists`, `backup.no-database`, `backup.database-damaged`, `blob.corrupt`
 */
export async function backUp(parts: {
  dataFolder: string;
  target: string;
  tell: (event: BackupEvent) => void;
  now: () => number;
}): Promise<void> {
  const { dataFolder, target, tell, now } = parts;
  await mkdir(dirname(target), { recursive: true });
  const scratch = await mkdtemp(`${target}.scratch-`);
  try {
    const database = join(scratch, dataNames.database);
    const summary = await snapshotDatabase(join(dataFolder, dataNames.database), database);
    const files = [{ path: dataNames.database, from: database }, ...(await identityFiles(dataFolder))];
    const blobs = await listBlobs(join(dataFolder, dataNames.blobs));
    const manifest: BackupManifest = {
      schemaVersion: 1,
      createdAtMs: now(),
      ...summary,
      files: await Promise.all(files.map(async ({ path, from }) => ({ path, ...(await fingerprint(from)) }))),
      blobs: { count: blobs.length, totalBytes: blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) },
    };
    const totalBytes = bytesOf(manifest);
    const contents = contentsOf({ dataFolder, manifest, files, blobs });
    await writeArchive(
      target,
      countBytes(contents, (doneBytes) => tell({ kind: "progress", doneBytes, totalBytes })),
    );
    const { createdAtMs, epoch, devices } = manifest;
    tell({ kind: "done", path: target, createdAtMs, epoch, devices, blobs: blobs.length, totalBytes });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The manifest first: whoever reads the backup as a stream knows from then on what must come. */
async function* contentsOf(parts: {
  dataFolder: string;
  manifest: BackupManifest;
  /** `from`: where the file that the manifest lists as `path` lies now. */
  files: readonly { path: string; from: string }[];
  blobs: readonly { digest: Digest }[];
}): AsyncGenerator<ArchiveFile> {
  const { dataFolder, manifest, files, blobs } = parts;
  yield inMemory(manifestName, Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
  for (const [index, { path, from }] of files.entries()) {
    yield { path, sizeBytes: manifest.files[index]?.sizeBytes ?? 0, body: createReadStream(from) };
  }
  const reader = readBlobs(join(dataFolder, dataNames.blobs));
  const pathOf = blobPaths(dataNames.blobs);
  for (const { digest } of blobs) yield inMemory(pathOf(digest), await reader.get(digest));
}

/** Bytes of everything that a manifest lists. */
export function bytesOf({ files, blobs }: BackupManifest): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, blobs.totalBytes);
}

/** Passes files on and tells how many of their bytes are behind. */
async function* countBytes(
  files: AsyncIterable<ArchiveFile>,
  tell: (doneBytes: number) => void,
): AsyncGenerator<ArchiveFile> {
  let doneBytes = 0;
  for await (const file of files) {
    yield file;
    if (file.path === manifestName) continue;
    doneBytes += file.sizeBytes;
    tell(doneBytes);
  }
}

async function identityFiles(dataFolder: string): Promise<{ path: string; from: string }[]> {
  const found: { path: string; from: string }[] = [];
  for (const name of identityNames) {
    const path = join(dataFolder, name);
    const info = await stat(path).catch(() => null);
    if (info === null) continue;
    if (info.isFile()) found.push({ path: name, from: path });
    else {
      for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
        const from = join(entry.parentPath, entry.name);
        if (entry.isFile()) found.push({ path: relative(dataFolder, from), from });
      }
    }
  }
  return found;
}

async function listBlobs(folder: string): Promise<{ digest: Digest; sizeBytes: number }[]> {
  const pathOf = blobPaths(folder);
  const blobs: { digest: Digest; sizeBytes: number }[] = [];
  for await (const digest of readBlobs(folder).list())
    blobs.push({ digest, sizeBytes: (await stat(pathOf(digest))).size });
  return blobs;
}

async function fingerprint(path: string): Promise<{ sizeBytes: number; digest: Digest }> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return { sizeBytes: (await stat(path)).size, digest: `sha256:${hash.digest("hex")}` };
}

function inMemory(path: string, bytes: Uint8Array): ArchiveFile {
  return {
    path,
    sizeBytes: bytes.length,
    body: (async function* () {
      yield bytes;
    })(),
  };
}
