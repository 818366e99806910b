import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { Manifest } from "@espalier/shared/contracts/manifest";
import { packObject, readPacking, unpackObject } from "@espalier/shared/object-packing";

/** Seconds of packing and unpacking are told by those that SHA-256 takes for the same plain bytes, all on one core. */
export interface Packed {
  readonly bytes: number;
  readonly wireBytes: number;
  readonly packOfSha: number;
  readonly unpackOfSha: number;
  readonly unpackMs: number;
}

/** What travels of a variant to a device that holds nothing, by the coordinator's and the agent's own code. */
export async function measureBytes(
  folder: string,
  manifest: Manifest,
): Promise<Packed & { chunks: number; packed: number }> {
  const times = { sha: 0, pack: 0, unpack: 0 };
  const sum = { bytes: 0, wireBytes: 0, chunks: 0, packed: 0 };
  for (const plain of chunksOf(folder, manifest)) {
    const sha = timed(() => createHash("sha256").update(plain).digest());
    const startMs = performance.now();
    const { bytes, metadata } = await packObject(plain);
    const packedMs = performance.now();
    const packing = readPacking("chunk", metadata);
    const unpacked = packing === null ? plain : await unpackObject("chunk", bytes, packing);
    const endMs = performance.now();
    if (!plain.equals(unpacked)) throw new Error(`a chunk of ${folder} came out as other bytes`);
    times.sha += sha.ms;
    times.pack += packedMs - startMs;
    times.unpack += endMs - packedMs;
    sum.bytes += plain.length;
    sum.wireBytes += bytes.length;
    sum.chunks += 1;
    if (packing !== null) sum.packed += 1;
  }
  return { ...sum, ...ratios(times) };
}

/** The same with zstd at any level, whatever it saves. */
export function measureLevel(folder: string, manifest: Manifest, level: number): Packed {
  const times = { sha: 0, pack: 0, unpack: 0 };
  const sum = { bytes: 0, wireBytes: 0 };
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  for (const plain of chunksOf(folder, manifest)) {
    const pack = timed(() => zstdCompressSync(plain, { params, pledgedSrcSize: plain.length }));
    times.sha += timed(() => createHash("sha256").update(plain).digest()).ms;
    times.pack += pack.ms;
    times.unpack += timed(() => zstdDecompressSync(pack.result, { chunkSize: plain.length + 64 })).ms;
    sum.bytes += plain.length;
    sum.wireBytes += pack.result.length;
  }
  return { ...sum, ...ratios(times) };
}

function ratios({ sha, pack, unpack }: { sha: number; pack: number; unpack: number }) {
  return { packOfSha: pack / sha, unpackOfSha: unpack / sha, unpackMs: unpack };
}

/** Every chunk once, as devices fetch them. */
function* chunksOf(folder: string, { files }: Manifest): Generator<Buffer> {
  const seen = new Set<string>();
  for (const { path, chunks } of files) {
    const bytes = readFileSync(join(folder, path));
    let at = 0;
    for (const { digest, sizeBytes } of chunks) {
      if (!seen.has(digest)) yield bytes.subarray(at, at + sizeBytes);
      seen.add(digest);
      at += sizeBytes;
    }
  }
}

function timed<Result>(work: () => Result): { result: Result; ms: number } {
  const startMs = performance.now();
  const result = work();
  return { result, ms: performance.now() - startMs };
}
