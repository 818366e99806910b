import type { Digest } from "@espalier/shared/contracts/digest";
import type { Chunk, FileEntry } from "@espalier/shared/contracts/files";
import { EspalierError } from "@espalier/shared/errors";
import type { z } from "zod";
import type { BlobStore } from "./blob-store.ts";

/**
 * Reads a JSON blob (FileTree, Manifest, Kit, SensitivityReport) by its contract.
 * @throws {EspalierError} `blob.missing`, `blob.corrupt`, `blob.malformed`
 */
export async function readDocument<Schema extends z.ZodType>(
  blobs: Pick<BlobStore, "get">,
  digest: Digest,
  schema: Schema,
): Promise<z.infer<Schema>> {
  return parseDocument(await blobs.get(digest), digest, schema);
}

/** @throws {EspalierError} `blob.malformed` */
export function parseDocument<Schema extends z.ZodType>(
  bytes: Uint8Array,
  digest: Digest,
  schema: Schema,
): z.infer<Schema> {
  try {
    return schema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw new EspalierError("blob.malformed", `${digest} doesn't match its contract: ${String(cause)}`, {
      fields: { digest },
      cause,
    });
  }
}

/** A file's bytes, chunk by chunk. */
export async function* readFileChunks(blobs: Pick<BlobStore, "get">, file: FileEntry): AsyncGenerator<Uint8Array> {
  for (const chunk of file.chunks) yield await blobs.get(chunk.digest);
}

/** A whole small file, e.g. `report.json`. */
export async function readWholeFile(blobs: Pick<BlobStore, "get">, file: FileEntry): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readFileChunks(blobs, file)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The chunks of some files, each digest once. */
export function distinctChunks(files: readonly FileEntry[]): Chunk[] {
  const chunks = new Map<Digest, Chunk>();
  for (const file of files) for (const chunk of file.chunks) chunks.set(chunk.digest, chunk);
  return [...chunks.values()];
}

/** The file at `path` in a tree, manifest or kit. @throws {EspalierError} `file.unknown` */
export function fileAt(files: readonly FileEntry[], path: string): FileEntry {
  const file = files.find((entry) => entry.path === path);
  if (file === undefined) {
    throw new EspalierError(
      "file.unknown",
      `there is no file ${path}; there are ${files.map((f) => f.path).join(", ")}`,
      {
        fields: { path },
      },
    );
  }
  return file;
}
