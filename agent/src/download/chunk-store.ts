import { readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "@espalier/shared/contracts/digest";
import { hex } from "@espalier/shared/nats-names";
import { temporarySuffix } from "../store/write-durably.ts";

/**
 * Downloaded pieces that are not part of an assembled variant yet. INVARIANT: a file under its final name was complete
 * and verified when it was renamed there. It is not fsynced: whoever uses it verifies it again, so what a power loss
 * tore is fetched once more and nothing else.
 */
export interface ChunkStore {
  has(digest: Digest, sizeBytes: number): Promise<boolean>;
  /** Stores bytes whose digest the caller has verified. */
  put(digest: Digest, bytes: Uint8Array): Promise<void>;
  read(digest: Digest): Promise<Uint8Array>;
  remove(digest: Digest): Promise<void>;
  /** Removes every chunk that is not in `keep`. */
  retain(keep: ReadonlySet<Digest>): Promise<void>;
}

export function openChunkStore(folder: string): ChunkStore {
  const path = (digest: Digest): string => join(folder, hex(digest));
  return {
    async has(digest, sizeBytes) {
      return (await stat(path(digest)).catch(() => null))?.size === sizeBytes;
    },
    async put(digest, bytes) {
      const temporary = `${path(digest)}${temporarySuffix}`;
      try {
        await writeFile(temporary, bytes);
        await rename(temporary, path(digest));
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    read: (digest) => readFile(path(digest)),
    remove: (digest) => rm(path(digest), { force: true }),
    async retain(keep) {
      const names = new Set([...keep].map(hex));
      for (const name of await readdir(folder)) if (!names.has(name)) await rm(join(folder, name), { force: true });
    },
  };
}
