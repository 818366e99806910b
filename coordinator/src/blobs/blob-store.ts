import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import { maxChunkBytes } from "@espalier/shared/contracts/files";
import { EspalierError, hasCode } from "@espalier/shared/errors";
import { hex } from "@espalier/shared/nats-names";

/**
 * A folder of blobs named by their SHA-256: chunks of files, and the JSON that lists them.
 * INVARIANT: a file under `sha256/` is whole, durable and hashes to its name; it never changes.
 */
export interface BlobStore extends BlobReader {
  /**
   * Stores bytes durably; a blob that is there already is left alone, unless `get` found it damaged or its length tells.
   * @param expected refuses bytes with another digest
   * @throws {EspalierError} `blob.oversize`, `blob.mismatch`, `blob.disk-full` (nothing is left behind)
   */
  put(bytes: Uint8Array, expected?: Digest): Promise<Digest>;
}

/** Reads a folder of blobs and changes nothing there: safe beside the coordinator that owns it. */
export interface BlobReader {
  /** @throws {EspalierError} `blob.missing`, `blob.corrupt` */
  get(digest: Digest): Promise<Uint8Array>;
  has(digest: Digest): Promise<boolean>;
  list(): AsyncIterable<Digest>;
}

const shards = "sha256";
const hexName = /^[0-9a-f]{64}$/;

/** A reader of the store at `folder`; a folder that is not there holds nothing. */
export function readBlobs(folder: string): BlobReader {
  const pathOf = blobPaths(folder);
  return {
    async has(digest) {
      return (await stat(pathOf(digest)).catch(() => null)) !== null;
    },
    async get(digest) {
      const bytes = await readFile(pathOf(digest)).catch((cause: unknown) => {
        throw new EspalierError("blob.missing", `the blob store holds no ${digest}`, { fields: { digest }, cause });
      });
      if (digestOfBytes(bytes) !== digest) {
        throw new EspalierError("blob.corrupt", `the stored ${digest} no longer hashes to its name`, {
          fields: { digest },
          remedy: "the disk lost data: import or build it again, which replaces the blob",
        });
      }
      return bytes;
    },
    async *list() {
      const root = join(folder, shards);
      for (const shard of (await readdirIfPresent(root)).sort()) {
        for (const name of (await readdir(join(root, shard))).sort()) if (hexName.test(name)) yield `sha256:${name}`;
      }
    },
  };
}

/** Opens (creating it when absent) the store at `folder` and removes what an earlier kill left half written. */
export async function openBlobStore(folder: string): Promise<BlobStore> {
  const temporary = join(folder, "incoming");
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  await mkdir(join(folder, shards), { recursive: true });
  const pathOf = blobPaths(folder);
  const reader = readBlobs(folder);
  /** What was found damaged, until it is found whole. Nothing else reads blobs only to see whether they are. */
  const damaged = new Set<Digest>();
  const isStored = async (digest: Digest, sizeBytes: number): Promise<boolean> =>
    !damaged.has(digest) && (await stat(pathOf(digest)).catch(() => null))?.size === sizeBytes;
  return {
    list: reader.list,
    has: async (digest) => !damaged.has(digest) && (await reader.has(digest)),
    async get(digest) {
      try {
        const bytes = await reader.get(digest);
        damaged.delete(digest);
        return bytes;
      } catch (error) {
        if (hasCode(error, "blob.corrupt")) damaged.add(digest);
        throw error;
      }
    },
    async put(bytes, expected) {
      if (bytes.length > maxChunkBytes) {
        throw new EspalierError("blob.oversize", `a blob of ${bytes.length} bytes exceeds ${maxChunkBytes}`, {
          fields: { sizeBytes: bytes.length, limitBytes: maxChunkBytes },
        });
      }
      const digest = digestOfBytes(bytes);
      if (expected !== undefined && digest !== expected) {
        throw new EspalierError("blob.mismatch", `bytes said to be ${expected} hash to ${digest}`, {
          fields: { expected, digest },
        });
      }
      if (!(await isStored(digest, bytes.length))) {
        await writeDurably(pathOf(digest), join(temporary, randomUUID()), bytes);
        damaged.delete(digest);
      }
      return digest;
    },
  };
}

/** Where the store at `folder` keeps a blob. */
export function blobPaths(folder: string): (digest: Digest) => string {
  return (digest) => join(folder, shards, hex(digest).slice(0, 2), hex(digest));
}

async function readdirIfPresent(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Whole or not at all, also through a power cut: the bytes are on the disk before the name is, and the name after. */
async function writeDurably(path: string, temporary: string, bytes: Uint8Array): Promise<void> {
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await mkdir(dirname(path), { recursive: true });
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true });
    if (!isDiskFull(cause)) throw cause;
    throw new EspalierError("blob.disk-full", `the disk of ${dirname(dirname(path))} is full`, {
      fields: { sizeBytes: bytes.length },
      remedy: "free some space and try again; nothing of the blob was kept",
      cause,
    });
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isDiskFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === "ENOSPC" || code === "EDQUOT";
}
