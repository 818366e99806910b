import { createHash } from "node:crypto";
import type { Digest } from "@espalier/shared/contracts/digest";
import { maxChunkBytes } from "@espalier/shared/contracts/files";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import { hex, objectBuckets } from "@espalier/shared/nats-names";
import { readPacking, unpackObject } from "@espalier/shared/object-packing";
import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type NatsConnection, nanos, nuid } from "@nats-io/transport-node";
import { z } from "zod";

const bucket = objectBuckets.artifacts;
const stream = `OBJ_${bucket}`;
/** A broker that sends nothing for this long has stalled. */
const stallMs = 5_000;
/** Slower than this is no progress: the download is given up for now, told, and tried again later. */
const minBytesPerSecond = 16 * 1024;
/** Messages are asked for in portions that take about this long, so that pings are answered in between. */
const portionMs = 2_000;

/** The coordinator puts objects in messages of at most this many bytes. */
const maxMessageBytes = 512 * 1024;

/** What the object store keeps of an object under its metadata subject (ADR-20). Sizes are of what travels. */
const ObjectEntry = z.object({
  nuid: z.string().regex(/^[A-Za-z0-9]{1,64}$/),
  size: z.int().nonnegative(),
  chunks: z.int().nonnegative(),
  deleted: z.boolean().optional(),
  metadata: z.unknown().optional(),
});

/** Reads the bucket that all devices may read. */
export interface ArtifactBucket {
  /**
   * The bytes of one object, whose SHA-256 is its name, unpacked where it travels packed. At most `maxBytes` are taken
   * from the broker, and at most `maxBytes` come out.
   * @throws {EspalierError} `object.missing`, `object.oversize`, `object.stalled`, `object.corrupt`, `object.encoding`;
   *   errors of the connection as they are. All may pass by themselves: the caller decides when to try again.
   */
  read(digest: Digest, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>;
}

/**
 * Reads with an own pull consumer per object: the object store's `get()` has no backpressure and stalls where the user
 * may not publish flow control. An object is pulled in portions: one message first, then as many as the link has shown
 * to carry in `portionMs`. A fast link takes all the rest at once.
 */
export function createArtifactBucket(connection: NatsConnection): ArtifactBucket {
  const client = jetstream(connection);
  const managing = jetstreamManager(connection, { checkAPI: false, timeout: deadlineMs(maxMessageBytes) });
  managing.catch(() => undefined);

  return {
    async read(digest, maxBytes, signal) {
      signal.throwIfAborted();
      const manager = await managing;
      const entry = await readEntry(manager, digest);
      const packing = readPacking(hex(digest), entry.metadata);
      const limitBytes = Math.min(maxBytes, maxChunkBytes);
      const sizeBytes = Math.max(entry.size, packing?.plainBytes ?? 0);
      if (sizeBytes > limitBytes)
        throw new EspalierError(
          "object.oversize",
          `Object ${hex(digest)} in bucket ${bucket} has ${sizeBytes} bytes; at most ${limitBytes} are expected.`,
          { fields: { digest, sizeBytes, limitBytes } },
        );
      const arrived = await pull({ client, manager, digest, entry, signal });
      const bytes = packing === null ? arrived : await unpackObject(hex(digest), arrived, packing);
      const found = createHash("sha256").update(bytes).digest("hex");
      if (found !== hex(digest))
        throw new EspalierError("object.corrupt", `Object ${hex(digest)} in bucket ${bucket} hashes to ${found}.`, {
          fields: { digest },
        });
      return bytes;
    },
  };
}

async function readEntry(manager: JetStreamManager, digest: Digest): Promise<z.infer<typeof ObjectEntry>> {
  const name = Buffer.from(hex(digest)).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
  const message = await manager.direct.getMessage(stream, { last_by_subj: `$O.${bucket}.M.${name}` });
  const entry = message === null ? null : parseEntry(digest, message.string());
  if (entry === null || entry.deleted === true)
    throw new EspalierError("object.missing", `Bucket ${bucket} holds no object ${hex(digest)} (yet).`, {
      fields: { digest },
    });
  return entry;
}

function parseEntry(digest: Digest, text: string): z.infer<typeof ObjectEntry> {
  try {
    return ObjectEntry.parse(JSON.parse(text));
  } catch (cause) {
    throw new EspalierError(
      "object.corrupt",
      `The entry of object ${hex(digest)} in bucket ${bucket} is unreadable: ${messageOf(cause)}`,
      { fields: { digest }, cause },
    );
  }
}

interface PullTask {
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly digest: Digest;
  readonly entry: z.infer<typeof ObjectEntry>;
  readonly signal: AbortSignal;
}

async function pull({ client, manager, digest, entry, signal }: PullTask): Promise<Uint8Array> {
  const bytes = new Uint8Array(entry.size);
  if (entry.size === 0) return bytes;
  const info = await manager.consumers.add(stream, {
    name: nuid.next(),
    filter_subject: `$O.${bucket}.C.${entry.nuid}`,
    deliver_policy: DeliverPolicy.All,
    ack_policy: AckPolicy.None,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: nanos(60_000),
  });
  let messages: ConsumerMessages | undefined;
  let deadline: NodeJS.Timeout | undefined;
  const abort = (): void => messages?.stop();
  signal.addEventListener("abort", abort, { once: true });
  const consumer = client.consumers.getConsumerFromInfo(info);
  const messageBytes = entry.size / Math.max(1, entry.chunks);
  let filled = 0;
  let portion = 1;
  try {
    for (let left = Math.max(1, entry.chunks); left > 0; ) {
      portion = Math.min(portion, left);
      left -= portion;
      const askedMs = performance.now();
      const before = filled;
      const expires = deadlineMs(portion * messageBytes);
      messages = await consumer.fetch({ max_messages: portion, expires });
      // The server ends a request that expired, unless it is the one that went away.
      deadline = setTimeout(abort, expires + stallMs);
      for await (const message of messages) {
        signal.throwIfAborted();
        if (filled + message.data.length > entry.size) return bytes;
        bytes.set(message.data, filled);
        filled += message.data.length;
      }
      clearTimeout(deadline);
      signal.throwIfAborted();
      if (filled === before || filled === entry.size) break;
      const bytesPerMs = (filled - before) / (performance.now() - askedMs);
      portion = Math.max(1, Math.floor((portionMs * bytesPerMs) / messageBytes));
    }
  } finally {
    signal.removeEventListener("abort", abort);
    clearTimeout(deadline);
    messages?.stop();
    // Only tidiness: the server drops an unused consumer after a minute by itself.
    manager.consumers.delete(stream, info.name).catch(() => undefined);
  }
  if (filled < entry.size)
    throw new EspalierError(
      "object.stalled",
      `Object ${hex(digest)} came slower than ${minBytesPerSecond} bytes per second: ${filled} of ${entry.size} bytes arrived.`,
      { fields: { digest, receivedBytes: filled, sizeBytes: entry.size, minBytesPerSecond } },
    );
  return bytes;
}

/** How long bytes may take at the minimum rate, beside another object that shares the link. */
function deadlineMs(sizeBytes: number): number {
  return Math.ceil(stallMs + (sizeBytes / minBytesPerSecond) * 1000);
}
