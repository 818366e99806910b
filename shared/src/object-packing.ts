import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { z } from "zod";
import { maxChunkBytes } from "./contracts/files.ts";
import { EspalierError, messageOf } from "./errors.ts";

/**
 * How objects of the `artifacts` bucket travel. An object's name stays the SHA-256 of its plain bytes; its entry says
 * here how they are packed. An entry that names no encoding is of plain bytes.
 */
const Packing = z.object({
  /** Whoever doesn't know the name can't read the object; what an agent knows changes with its version only. */
  encoding: z.string(),
  /** Decimal digits: an object store's metadata is text. */
  plainBytes: z
    .string()
    .regex(/^[1-9]\d{0,9}$/)
    .transform(Number),
});
export type Packing = z.infer<typeof Packing>;

export interface PackedObject {
  readonly bytes: Uint8Array;
  /** Of the object's entry; undefined where the bytes travel as they are. */
  readonly metadata: Record<string, string> | undefined;
}

const zstd = "zstd";
/** Higher levels take twice the time and more, for half a percent of the bytes at most (docs/measurements/wire-bytes.md). */
const level = 1;
/** What saves less isn't worth unpacking. */
const leastSavedShare = 0.05;
/** Nothing that looks further back than a chunk is long gets memory for it. */
const largestWindowLog = Math.log2(maxChunkBytes);
/** Buffers of Node's zlib are at least this large. */
const leastBufferBytes = 64;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Packs bytes for devices where that saves something; on a thread of libuv's pool. */
export async function packObject(plain: Uint8Array): Promise<PackedObject> {
  const packed = await compress(plain, {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    pledgedSrcSize: plain.length,
    chunkSize: Math.max(leastBufferBytes, plain.length),
  });
  if (packed.length > plain.length * (1 - leastSavedShare)) return { bytes: plain, metadata: undefined };
  return { bytes: packed, metadata: { encoding: zstd, plainBytes: String(plain.length) } };
}

/**
 * What an entry says of its object; null for plain bytes.
 * @throws {EspalierError} `object.encoding` for a packing that this version doesn't know
 */
export function readPacking(name: string, metadata: unknown): Packing | null {
  if (!Object.hasOwn(Object(metadata), "encoding")) return null;
  const packing = Packing.safeParse(metadata);
  if (packing.success && packing.data.encoding === zstd) return packing.data;
  const said = JSON.stringify(metadata).slice(0, 200);
  throw new EspalierError(
    "object.encoding",
    `Object ${name} is packed in a way that this version can't read: ${said}.`,
    {
      fields: { object: name },
      remedy: "update the agent to the coordinator's version",
    },
  );
}

/**
 * Unpacks what `packObject` packed; on a thread of libuv's pool. Memory: the plain bytes and a window of at most
 * `maxChunkBytes`, whatever the packed bytes claim.
 * @throws {EspalierError} `object.oversize` for more than `plainBytes`, `object.corrupt` for what doesn't unpack; that the
 *   right bytes came out is for the caller to check, by their digest
 */
export async function unpackObject(name: string, packed: Uint8Array, { plainBytes }: Packing): Promise<Uint8Array> {
  try {
    return await decompress(packed, {
      params: { [constants.ZSTD_d_windowLogMax]: largestWindowLog },
      maxOutputLength: plainBytes,
      // One byte of room tells the end from too much, and the plain bytes are written once.
      chunkSize: Math.max(leastBufferBytes, plainBytes + 1),
    });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
      throw new EspalierError(
        "object.oversize",
        `Object ${name} unpacks to more than the ${plainBytes} bytes that its entry says.`,
        { fields: { object: name, plainBytes }, cause },
      );
    }
    throw new EspalierError("object.corrupt", `Object ${name} can't be unpacked: ${messageOf(cause)}.`, {
      fields: { object: name },
      cause,
    });
  }
}
