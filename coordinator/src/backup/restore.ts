import { createHash, randomUUID } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type BackupEvent, BackupManifest } from "@espalier/shared/contracts/backup";
import type { Digest } from "@espalier/shared/contracts/digest";
import { maxChunkBytes } from "@espalier/shared/contracts/files";
import { EspalierError } from "@espalier/shared/errors";
import { type BlobStore, openBlobStore } from "../blobs/blob-store.ts";
import { parseDocument } from "../blobs/read-tree.ts";
import { dataNames } from "../data-folder/layout.ts";
import { recordAudit } from "../store/audit.ts";
import { startEpoch } from "../store/epoch.ts";
import { openSqliteStore } from "../store/open.ts";
import { type ArchiveFile, isAbsentOrEmpty, readArchive, writePrivately } from "./archive.ts";
import { bytesOf, manifestName } from "./back-up.ts";

const maxManifestBytes = 16 * 1024 * 1024;
const blobPath = /^blobs\/sha256\/[0-9a-f]{2}\/([0-9a-f]{64})$/;

/**
 * Makes a data folder out of a backup: whole and verified, or not at all. The database is brought to this version's
 * schema and starts a new epoch, so that devices never ignore what it decides.
 * @throws {EspalierError} `restore.not-empty`, `backup.missing`, `backup.unreadable`, `backup.incomplete`,
 * `backup.mismatch`, `store.migration-failed`
 */
export async function restore(parts: {
  source: string;
  dataFolder: string;
  tell: (event: BackupEvent) => void;
  now: () => number;
}): Promise<void> {
  const { source, dataFolder, tell, now } = parts;
  if (!(await isAbsentOrEmpty(dataFolder))) {
    throw new EspalierError("restore.not-empty", `${dataFolder} is not empty`, {
      fields: { dataFolder },
      remedy: "restore into a new folder; move the old one away first if the coordinator is to keep its path",
    });
  }
  const staging = `${dataFolder}.restoring-${randomUUID()}`;
  await mkdir(staging, { recursive: true, mode: 0o700 });
  try {
    const manifest = await unpack(source, staging, tell);
    const epoch = await beginAnew(join(staging, dataNames.database), { source, manifest, nowMs: now() });
    await mkdir(dirname(dataFolder), { recursive: true });
    await rename(staging, dataFolder);
    const { createdAtMs, devices, blobs } = manifest;
    const totalBytes = bytesOf(manifest);
    tell({ kind: "done", path: dataFolder, createdAtMs, epoch, devices, blobs: blobs.count, totalBytes });
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

async function unpack(source: string, folder: string, tell: (event: BackupEvent) => void): Promise<BackupManifest> {
  const files = readArchive(source, manifestName);
  const manifest = await readManifest(source, (await files.next()).value);
  const blobs = await openBlobStore(join(folder, dataNames.blobs));
  const missing = new Map(manifest.files.map((file) => [file.path, file]));
  const totalBytes = bytesOf(manifest);
  const seen = { count: 0, totalBytes: 0 };
  let doneBytes = 0;
  for await (const file of files) {
    const hexDigits = blobPath.exec(file.path)?.[1];
    const listed = missing.get(file.path);
    if (hexDigits !== undefined) {
      await takeBlob(blobs, file, `sha256:${hexDigits}`);
      seen.count += 1;
      seen.totalBytes += file.sizeBytes;
    } else if (listed !== undefined) {
      await takeFile(folder, file, listed.digest);
      missing.delete(file.path);
    } else {
      throw new EspalierError("backup.mismatch", `${source} holds ${file.path}, which it doesn't list`, {
        fields: { path: file.path },
      });
    }
    doneBytes += file.sizeBytes;
    tell({ kind: "progress", doneBytes, totalBytes });
  }
  if (missing.size > 0 || seen.count !== manifest.blobs.count || seen.totalBytes !== manifest.blobs.totalBytes) {
    const lacking = [...missing.keys(), `${manifest.blobs.count - seen.count} of ${manifest.blobs.count} blobs`];
    throw new EspalierError("backup.incomplete", `${source} lacks ${lacking.join(", ")}`, {
      fields: { source },
      remedy: "it was cut off or changed after it was made: copy it again, or use an earlier one",
    });
  }
  return manifest;
}

async function readManifest(source: string, file: ArchiveFile | undefined): Promise<BackupManifest> {
  if (file?.path !== manifestName || file.sizeBytes > maxManifestBytes) {
    throw new EspalierError("backup.unreadable", `${source} is no backup: ${manifestName} is not its first file`, {
      fields: { source },
      remedy: "name what `espalier backup` wrote: a .tar or a folder",
    });
  }
  const bytes = await collect(file, maxManifestBytes);
  return parseDocument(bytes, manifestName, BackupManifest);
}

async function takeBlob(blobs: BlobStore, file: ArchiveFile, digest: Digest): Promise<void> {
  try {
    await blobs.put(await collect(file, maxChunkBytes), digest);
  } catch (cause) {
    throw damaged(file.path, cause);
  }
}

/** The path is one of the manifest's: those are checked, since a backup may come from anywhere. */
async function takeFile(folder: string, file: ArchiveFile, digest: Digest): Promise<void> {
  const inside = file.path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (!inside) throw damaged(file.path, new RangeError("the path leads out of the folder"));
  const hash = createHash("sha256");
  await writePrivately(join(folder, file.path), hashed(file.body, hash));
  if (`sha256:${hash.digest("hex")}` !== digest) throw damaged(file.path, undefined);
}

async function* hashed(body: AsyncIterable<Uint8Array>, hash: { update(bytes: Uint8Array): unknown }) {
  for await (const piece of body) {
    hash.update(piece);
    yield piece;
  }
}

async function collect(file: ArchiveFile, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of file.body) {
    bytes += piece.length;
    if (bytes > maxBytes) throw damaged(file.path, new RangeError(`it has over ${maxBytes} bytes`));
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function damaged(path: string, cause: unknown): EspalierError {
  return new EspalierError("backup.mismatch", `${path} of the backup is not what was backed up`, {
    fields: { path },
    remedy: "it was damaged after it was made: copy it again, or use an earlier one; nothing was restored",
    cause,
  });
}

async function beginAnew(
  database: string,
  { source, manifest, nowMs }: { source: string; manifest: BackupManifest; nowMs: number },
): Promise<number> {
  const store = await openSqliteStore(database);
  try {
    return await store.inTransaction(async (transaction) => {
      const epoch = await startEpoch(transaction, nowMs);
      const madeAt = new Date(manifest.createdAtMs).toISOString();
      const detail = `epoch ${epoch} from ${source}, made ${madeAt}`;
      await recordAudit(transaction, {
        atMs: nowMs,
        who: "local",
        action: "restore",
        target: "database",
        outcome: "allowed",
        detail,
      });
      return epoch;
    });
  } finally {
    await store.close();
  }
}
