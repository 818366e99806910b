import type { Digest } from "@espalier/shared/contracts/digest";
import type { FileEntry } from "@espalier/shared/contracts/files";
import { EspalierError } from "@espalier/shared/errors";
import { hex } from "@espalier/shared/nats-names";
import { type PackedObject, packObject } from "@espalier/shared/object-packing";
import type { ObjectStore } from "@nats-io/obj";
import type { BlobReader } from "../blobs/blob-store.ts";
import { distinctChunks } from "../blobs/read-tree.ts";

/** Objects travel in messages of this size (messaging.md measured 512 KiB to 1 MiB as best). */
const messageBytes = 512 * 1024;
const timeoutMs = 20_000;

/** Where a blob comes from and how it is put into a bucket. */
export type PutObject = (bucket: ObjectStore, blobs: Pick<BlobReader, "get">, digest: Digest) => Promise<void>;

/** Puts a blob under its digest unless it is there whole. Content addresses never change, so there is nothing to update. */
export const putObject: PutObject = (bucket, blobs, digest) =>
  putUnlessThere(bucket, digest, async () => ({ bytes: await blobs.get(digest), metadata: undefined }));

/** `putObject` for devices: packed where that saves something. What is there already stays as it is, packed or not. */
export const putPacked: PutObject = (bucket, blobs, digest) =>
  putUnlessThere(bucket, digest, async () => packObject(await blobs.get(digest)));

async function putUnlessThere(bucket: ObjectStore, digest: Digest, read: () => Promise<PackedObject>): Promise<void> {
  if (await hasObject(bucket, digest)) return;
  const { bytes, metadata } = await read();
  const meta = { name: hex(digest), options: { max_chunk_size: messageBytes }, ...(metadata && { metadata }) };
  await bucket.putBlob(meta, bytes, { timeout: timeoutMs });
}

/** What a device that holds none of these files' chunks takes from the broker for them. Packs them all to tell. */
export async function wireBytesOf(blobs: Pick<BlobReader, "get">, files: readonly FileEntry[]): Promise<number> {
  let wireBytes = 0;
  for (const { digest } of distinctChunks(files)) wireBytes += (await packObject(await blobs.get(digest))).bytes.length;
  return wireBytes;
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
