import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import { createTarDecoder, createTarPacker } from "modern-tar";

/** A file of a backup; its body is read once, before the next file is asked for. */
export interface ArchiveFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Keys of the authority are among the files: only their owner reads them. */
const privateMode = 0o600;

/**
 * Writes files into a tar (a target that ends in `.tar`) or a folder: whole or not at all.
 * @throws {EspalierError} `backup.exists`; what `files` throws
 */
export async function writeArchive(target: string, files: AsyncIterable<ArchiveFile>): Promise<void> {
  if (!(await isAbsentOrEmpty(target))) {
    throw new EspalierError("backup.exists", `${target} exists already`, {
      fields: { target },
      remedy: "name a new file (.tar) or a new folder; a backup never overwrites another",
    });
  }
  const partial = `${target}.partial-${randomUUID()}`;
  await mkdir(dirname(target), { recursive: true });
  try {
    await (isTar(target) ? writeTar(partial, files) : writeFolder(partial, files));
    await rename(partial, target);
    await syncFolder(dirname(target));
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function writeFolder(folder: string, files: AsyncIterable<ArchiveFile>): Promise<void> {
  for await (const { path, body } of files) await writePrivately(join(folder, path), body);
}

async function writeTar(path: string, files: AsyncIterable<ArchiveFile>): Promise<void> {
  const { readable, controller } = createTarPacker();
  const written = writePrivately(path, readable);
  const packed = (async () => {
    for await (const { path: name, sizeBytes, body } of files) {
      await Readable.toWeb(Readable.from(body)).pipeTo(controller.add({ name, size: sizeBytes, mode: privateMode }));
    }
    controller.finalize();
  })();
  packed.catch((error: unknown) => controller.error(error));
  // The first to fail is the cause; the other follows from it.
  await Promise.all([packed, written]);
}

/** Writes a new file, with its folders, that only its owner reads, and makes it durable. */
export async function writePrivately(path: string, body: AsyncIterable<Uint8Array>): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await pipeline(body, createWriteStream(path, { flags: "wx", mode: privateMode, flush: true }));
}

/**
 * The files of a backup, `first` before all others.
 * @throws {EspalierError} `backup.missing`, `backup.unreadable`
 */
export async function* readArchive(source: string, first: string): AsyncGenerator<ArchiveFile> {
  const info = await stat(source).catch((cause: unknown) => {
    throw new EspalierError("backup.missing", `there is no backup at ${source}`, { fields: { source }, cause });
  });
  if (info.isDirectory()) yield* readFolder(source, first);
  else yield* readTar(source);
}

async function* readFolder(folder: string, first: string): AsyncGenerator<ArchiveFile> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
  for (const path of paths.sort((a, b) => Number(b === first) - Number(a === first) || a.localeCompare(b))) {
    const file = join(folder, path);
    yield { path, sizeBytes: (await stat(file)).size, body: createReadStream(file) };
  }
}

async function* readTar(source: string): AsyncGenerator<ArchiveFile> {
  const entries = Readable.toWeb(createReadStream(source)).pipeThrough(createTarDecoder({ strict: true }));
  try {
    for await (const { header, body } of entries) {
      if (header.type === "file") yield { path: header.name, sizeBytes: header.size, body };
      else await body.cancel();
    }
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw new EspalierError("backup.unreadable", `${source} can't be read to its end: ${messageOf(cause)}`, {
      fields: { source },
      remedy: "it is no backup or was cut off while it was copied: copy it again, or use an earlier one",
      cause,
    });
  }
}

function isTar(path: string): boolean {
  return path.endsWith(".tar");
}

/** Whether a name is free for a new file or folder. */
export async function isAbsentOrEmpty(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length === 0;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return true;
    if (code === "ENOTDIR") return false;
    throw error;
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
