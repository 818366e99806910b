import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { FileEntry } from "@espalier/shared/contracts/files";

/** Paths of the files whose content on disk no longer has its digest. */
export async function damagedFiles(
  folder: string,
  files: readonly FileEntry[],
  signal: AbortSignal,
): Promise<string[]> {
  const damaged: string[] = [];
  for (const { path, digest } of files) {
    const hash = createHash("sha256");
    try {
      await pipeline(createReadStream(join(folder, path)), hash, { signal });
      if (`sha256:${hash.digest("hex")}` !== digest) damaged.push(path);
    } catch (error) {
      signal.throwIfAborted();
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      damaged.push(path);
    }
  }
  return damaged;
}
