import { createCipheriv } from "node:crypto";
import type { Digest } from "@espalier/shared/contracts/digest";
import { maxChunkBytes } from "@espalier/shared/contracts/files";
import type { BlobStore } from "../blobs/blob-store.ts";

/** Large enough that the rate is not that of the first packets; fetched and discarded by each device. */
const probeBlobs = 2;

/**
 * Objects for timing downloads over the real path before any variant exists: noise that nothing compresses, the same on
 * every coordinator (AES in counter mode over zeros), so that it is stored once.
 */
export async function storeDownloadProbe(blobs: BlobStore): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (let index = 0; index < probeBlobs; index += 1) {
    const counter = Buffer.alloc(16);
    counter.writeUInt8(index, 0);
    const noise = createCipheriv("aes-128-ctr", Buffer.alloc(16), counter).update(Buffer.alloc(maxChunkBytes));
    digests.push(await blobs.put(noise));
  }
  return digests;
}
