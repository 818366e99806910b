import type { Digest } from "@espalier/shared/contracts/digest";
import type { FileEntry } from "@espalier/shared/contracts/files";
import { hasCode } from "@espalier/shared/errors";
import type { ObjectStore } from "@nats-io/obj";
import type { z } from "zod";
import type { BlobStore } from "../blobs/blob-store.ts";
import { distinctChunks, parseDocument } from "../blobs/read-tree.ts";
import { deleteObject, readObject } from "./objects.ts";

/** Takes over what builders hand in. */
export interface Inbox {
  /**
   * Moves a result from the inbox to the blob store: its document and, where it lists files, their chunks. Repeatable:
   * what was moved before is skipped.
   * @throws {EspalierError} `object.missing`, `blob.mismatch` (the object is deleted), `blob.malformed`, `blob.disk-full`
   */
  takeResult<Schema extends z.ZodType<{ files?: readonly FileEntry[] } | object>>(
    digest: Digest,
    schema: Schema,
  ): Promise<z.infer<Schema>>;
}

export function createInbox({ bucket, blobs }: { bucket: () => ObjectStore; blobs: BlobStore }): Inbox {
  /** INVARIANT: an object is deleted only when its bytes are durable in the blob store, or proven to be wrong. */
  async function take(digest: Digest): Promise<void> {
    if (!(await blobs.has(digest))) {
      const bytes = await readObject(bucket(), digest);
      try {
        await blobs.put(bytes, digest);
      } catch (error) {
        if (hasCode(error, "blob.mismatch") || hasCode(error, "blob.oversize")) await deleteObject(bucket(), digest);
        throw error;
      }
    }
    await deleteObject(bucket(), digest);
  }

  return {
    async takeResult(digest, schema) {
      await take(digest);
      const document = parseDocument(await blobs.get(digest), digest, schema);
      for (const chunk of distinctChunks(filesOf(document))) await take(chunk.digest);
      return document;
    },
  };
}

function filesOf(document: unknown): readonly FileEntry[] {
  return (document as { files?: readonly FileEntry[] }).files ?? [];
}
