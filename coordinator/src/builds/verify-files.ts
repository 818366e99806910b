import { createHash } from "node:crypto";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { FileEntry } from "@espalier/shared/contracts/files";
import type { BlobStore } from "../blobs/blob-store.ts";
import { readFileChunks } from "../blobs/read-tree.ts";
import { invalidResult } from "./result-error.ts";

/**
 * Whether the chunks, each already proven by its digest, make up the files that a result describes.
 * @throws {EspalierError} `build.invalid-result`
 */
export async function verifyFiles(
  blobs: Pick<BlobStore, "get">,
  jobId: Digest,
  files: readonly FileEntry[],
): Promise<void> {
  for (const file of files) {
    const hash = createHash("sha256");
    let sizeBytes = 0;
    let index = 0;
    for await (const bytes of readFileChunks(blobs, file)) {
      const stated = file.chunks[index++]?.sizeBytes;
      if (bytes.length !== stated) {
        throw invalidResult(jobId, `chunk ${index} of ${file.path} has ${bytes.length} bytes, said to be ${stated}`);
      }
      hash.update(bytes);
      sizeBytes += bytes.length;
    }
    if (sizeBytes !== file.sizeBytes || `sha256:${hash.digest("hex")}` !== file.digest) {
      throw invalidResult(jobId, `${file.path}: its chunks don't make up the file that the result describes`);
    }
  }
}
