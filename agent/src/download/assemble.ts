import { createHash } from "node:crypto";
import { type FileHandle, lstat, mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { FileEntry } from "@espalier/shared/contracts/files";
import { EspalierError } from "@espalier/shared/errors";
import { syncFolder } from "../store/write-durably.ts";
import type { HeldChunks } from "./held-chunks.ts";

/**
 * Writes files from held chunks into a fresh folder, verifying each chunk and each whole file, and makes them durable.
 * @throws {EspalierError} `chunk.damaged`: a held copy was bad and is no longer held (fetch again);
 *   `file.digest`: the list itself lies, nothing can help
 */
export async function assembleFiles(
  folder: string,
  files: readonly FileEntry[],
  held: HeldChunks,
  signal: AbortSignal,
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const folders = new Set([folder]);
  for (const file of files) {
    const path = join(folder, file.path);
    await mkdir(dirname(path), { recursive: true });
    for (let parent = dirname(path); parent !== folder; parent = dirname(parent)) folders.add(parent);
    const handle = await open(path, "wx");
    try {
      await writeFromChunks(handle, file, held, signal);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
  for (const path of folders) await syncFolder(path);
}

async function writeFromChunks(
  handle: FileHandle,
  file: FileEntry,
  held: HeldChunks,
  signal: AbortSignal,
): Promise<void> {
  const whole = createHash("sha256");
  for (const { digest, sizeBytes } of file.chunks) {
    signal.throwIfAborted();
    const bytes = await held.read(digest, sizeBytes);
    if (bytes === null)
      throw new EspalierError("chunk.damaged", `The held copy of chunk ${digest} of ${file.path} is damaged.`, {
        fields: { digest },
      });
    whole.update(bytes);
    await handle.writeFile(bytes);
  }
  const found = `sha256:${whole.digest("hex")}`;
  if (found !== file.digest)
    throw new EspalierError("file.digest", `${file.path} hashes to ${found}, its list says ${file.digest}.`, {
      fields: { path: file.path },
    });
}

/**
 * Checks that files on disk are plain files of the listed size with one name only: ONNX Runtime would follow a hard
 * link to an outside file.
 * @throws {EspalierError} `file.unsafe`
 */
export async function checkPlainFiles(folder: string, files: readonly FileEntry[]): Promise<void> {
  for (const { path, sizeBytes } of files) {
    const found = await lstat(join(folder, path)).catch(() => null);
    const problem =
      found === null
        ? "is missing"
        : !found.isFile()
          ? "is not a plain file"
          : found.nlink !== 1
            ? `has ${found.nlink} hard links`
            : found.size !== sizeBytes
              ? `has ${found.size} bytes instead of ${sizeBytes}`
              : null;
    if (problem !== null)
      throw new EspalierError("file.unsafe", `${join(folder, path)} ${problem}.`, { fields: { path } });
  }
}
