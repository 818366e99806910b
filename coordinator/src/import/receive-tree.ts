import { statfs } from "node:fs/promises";
import { canonicalJson, digestOfJson } from "@espalier/shared/contracts/digest";
import { type FileEntry, FileTree } from "@espalier/shared/contracts/files";
import { EspalierError } from "@espalier/shared/errors";
import type { UploadMessage__Output } from "@espalier/shared/generated/espalier/v1/UploadMessage";
import type { BlobStore } from "../blobs/blob-store.ts";
import { requireAccepted, type TreeKind } from "./accepted-files.ts";
import { createFileWriter, type FileWriter } from "./file-writer.ts";

/** What must stay free on the coordinator's disk. */
const reserveBytes = 256 * 1024 * 1024;
const maxFiles = 1_000;

/** A tree whose files and own document are in the blob store. */
export interface ReceivedTree {
  readonly digest: string;
  readonly tree: FileTree;
  readonly sizeBytes: number;
}

/**
 * Receives a model or dataset: TreeHeader, then for each file FileHeader and its data. Chunks stored before a failure
 * stay (they are content-addressed, the next attempt finds them); no tree is made of them.
 * @throws {EspalierError} `import.malformed` (order, sizes), `import.refused` (a file of another kind),
 *   `import.disk-full` before data that wouldn't fit, `blob.disk-full`
 */
export async function receiveTree(
  messages: AsyncIterable<UploadMessage__Output>,
  { kind, blobs, folder }: { kind: TreeKind; blobs: BlobStore; folder: string },
): Promise<ReceivedTree> {
  let name: string | null = null;
  let writer: FileWriter | null = null;
  const files: FileEntry[] = [];
  const paths = new Set<string>();

  async function finishFile(): Promise<void> {
    if (writer !== null) files.push(await writer.finish());
    writer = null;
  }

  for await (const message of messages) {
    if (message.tree) {
      if (name !== null) throw malformed("a second tree header came");
      name = requireName(message.tree.name);
    } else if (message.file) {
      if (name === null) throw malformed("a file came before the tree header");
      await finishFile();
      const { path, sizeBytes } = message.file;
      requireAccepted(kind, path);
      if (paths.has(path)) throw malformed(`${path} came twice`);
      if (paths.size >= maxFiles) throw malformed(`more than ${maxFiles} files came`);
      paths.add(path);
      await requireRoom(folder, sizeBytes);
      writer = createFileWriter(blobs, { path, sizeBytes });
    } else if (message.data) {
      if (writer === null) throw malformed("data came before its file header");
      await (writer as FileWriter).write(message.data);
    }
  }
  await finishFile();
  if (name === null || files.length === 0) throw malformed("no file came");
  requireWeights(kind, files);
  return storeTree(blobs, { schemaVersion: 1, kind, name, files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) });
}

async function storeTree(blobs: BlobStore, value: FileTree): Promise<ReceivedTree> {
  const tree = FileTree.parse(value);
  const digest = await blobs.put(Buffer.from(canonicalJson(tree)), digestOfJson(tree));
  return { digest, tree, sizeBytes: tree.files.reduce((sum, file) => sum + file.sizeBytes, 0) };
}

function requireName(name: string): string {
  if (/^[\w][\w .-]{0,99}$/.test(name)) return name;
  throw malformed("a name needs 1 to 100 letters, digits, spaces and . _ -");
}

function requireWeights(kind: TreeKind, files: readonly FileEntry[]): void {
  if (kind === "dataset" || files.some(({ path }) => /\.(safetensors|gguf)$/.test(path))) return;
  throw new EspalierError("import.refused", "a model needs at least one safetensors or GGUF file", {
    remedy: "export the checkpoint to safetensors first",
  });
}

async function requireRoom(folder: string, sizeBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (sizeBytes + reserveBytes <= freeBytes) return;
  throw new EspalierError("import.disk-full", `a file of ${sizeBytes} bytes doesn't fit: ${freeBytes} bytes are free`, {
    fields: { sizeBytes, freeBytes, reserveBytes },
    remedy: "free some space on the coordinator's disk",
  });
}

function malformed(problem: string): EspalierError {
  return new EspalierError("import.malformed", `the upload is malformed: ${problem}`);
}
