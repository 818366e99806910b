import { createHash } from "node:crypto";
import { type Chunk, type FileEntry, maxChunkBytes } from "@espalier/shared/contracts/files";
import { EspalierError } from "@espalier/shared/errors";
import type { BlobStore } from "../blobs/blob-store.ts";
import { requireHonestStart } from "./accepted-files.ts";

/** Receives one file in pieces of any size and stores it in chunks, cut every 4 MiB. */
export interface FileWriter {
  /** @throws {EspalierError} `import.malformed` past the announced size, `import.refused`, `blob.disk-full` */
  write(piece: Uint8Array): Promise<void>;
  /** @throws {EspalierError} `import.malformed` for a file shorter than announced */
  finish(): Promise<FileEntry>;
}

export function createFileWriter(
  blobs: Pick<BlobStore, "put">,
  { path, sizeBytes }: { path: string; sizeBytes: number },
): FileWriter {
  const hash = createHash("sha256");
  const chunks: Chunk[] = [];
  let receivedBytes = 0;
  /** INVARIANT: fewer than maxChunkBytes are held between calls. */
  let held: Uint8Array[] = [];
  let heldBytes = 0;

  async function store(): Promise<void> {
    const bytes = Buffer.concat(held);
    if (chunks.length === 0) requireHonestStart(path, bytes);
    held = [];
    heldBytes = 0;
    if (bytes.length > 0) chunks.push({ digest: await blobs.put(bytes), sizeBytes: bytes.length });
  }

  const mismatch = (problem: string) =>
    new EspalierError("import.malformed", `${path} was announced with ${sizeBytes} bytes but ${problem}`, {
      fields: { path, sizeBytes },
    });

  return {
    async write(piece) {
      receivedBytes += piece.length;
      if (receivedBytes > sizeBytes) throw mismatch("has more");
      hash.update(piece);
      for (let rest = piece; rest.length > 0; ) {
        const taken = rest.subarray(0, maxChunkBytes - heldBytes);
        held.push(taken);
        heldBytes += taken.length;
        rest = rest.subarray(taken.length);
        if (heldBytes === maxChunkBytes) await store();
      }
    },
    async finish() {
      if (receivedBytes < sizeBytes) throw mismatch(`ended after ${receivedBytes}`);
      if (heldBytes > 0 || chunks.length === 0) await store();
      return { path, sizeBytes, digest: `sha256:${hash.digest("hex")}`, chunks };
    },
  };
}
