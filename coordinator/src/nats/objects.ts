import type { Digest } from "@espalier/shared/contracts/digest";
import { EspalierError } from "@espalier/shared/errors";
import { hex } from "@espalier/shared/nats-names";
import type { ObjectStore } from "@nats-io/obj";
import type { BlobStore } from "../blobs/blob-store.ts";

/** Objects travel in messages of this size (messaging.md measured 512 KiB to 1 MiB as best). */
const messageBytes = 512 * 1024;
const timeoutMs = 20_000;

/** Puts a blob under its digest unless it is there whole. Content addresses never change, so there is nothing to update. */
export async function putObject(bucket: ObjectStore, blobs: Pick<BlobStore, "get">, digest: Digest): Promise<void> {
  if (await hasObject(bucket, digest)) return;
  const bytes = await blobs.get(digest);
  const meta = { name: hex(digest), options: { max_chunk_size: messageBytes } };
  await bucket.putBlob(meta, bytes, { timeout: timeoutMs });
}

export async function hasObject(bucket: ObjectStore, digest: Digest): Promise<boolean> {
  const info = await bucket.info(hex(digest));
  return info !== null && !info.deleted;
}

/**
 * Reads an object; its digest is not checked here.
 * @throws {EspalierError} `object.missing`
 */
export async function readObject(bucket: ObjectStore, digest: Digest): Promise<Uint8Array> {
  const bytes = (await hasObject(bucket, digest)) ? await bucket.getBlob(hex(digest)) : null;
  if (bytes === null) {
    throw new EspalierError("object.missing", `the bucket holds no object ${hex(digest)}`, { fields: { digest } });
  }
  return bytes;
}

export async function deleteObject(bucket: ObjectStore, digest: Digest): Promise<void> {
  if (await hasObject(bucket, digest)) await bucket.delete(hex(digest));
}
