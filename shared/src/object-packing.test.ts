import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import { maxChunkBytes } from "./contracts/files.ts";
import { hasCode } from "./errors.ts";
import { packObject, readPacking, unpackObject } from "./object-packing.ts";

const compressible = Buffer.alloc(300_000, "codes with zeros among them ");
const packing = (plainBytes: number) => ({ encoding: "zstd", plainBytes });

async function packed(plain: Uint8Array): Promise<Uint8Array> {
  const { bytes, metadata } = await packObject(plain);
  assert.deepEqual(metadata, { encoding: "zstd", plainBytes: String(plain.length) });
  return bytes;
}

test("what compresses is packed and comes out as it was, up to a whole chunk", async () => {
  for (const plain of [compressible, Buffer.alloc(maxChunkBytes, "weights "), Buffer.alloc(100, "x")]) {
    const bytes = await packed(plain);
    assert.ok(bytes.length < plain.length * 0.95);
    assert.ok(plain.equals(await unpackObject("o", bytes, packing(plain.length))));
  }
});

test("what hardly compresses travels as it is, and so does nothing at all", async () => {
  const noise = randomBytes(100_000);
  // 4 % of zeros save less than unpacking is worth.
  const nearly = Buffer.concat([randomBytes(96_000), Buffer.alloc(4_000)]);
  for (const plain of [noise, nearly, Buffer.from("{}"), Buffer.alloc(0)]) {
    const { bytes, metadata } = await packObject(plain);
    assert.equal(metadata, undefined);
    assert.equal(bytes, plain);
  }
});

test("an entry that names no encoding is of plain bytes; one that says something unknown is told, with what to do", () => {
  for (const metadata of [undefined, null, {}, { note: "by hand" }]) assert.equal(readPacking("o", metadata), null);
  assert.deepEqual(readPacking("o", { encoding: "zstd", plainBytes: "12" }), packing(12));
  const unknown = [
    { encoding: "brotli", plainBytes: "12" },
    { encoding: "zstd" },
    { encoding: "zstd", plainBytes: "0" },
    { encoding: 7 },
  ];
  for (const metadata of unknown)
    assert.throws(
      () => readPacking("o", metadata),
      (error) => hasCode(error, "object.encoding") && /update the agent/.test(error.remedy ?? ""),
    );
});

test("more than the entry says is refused as soon as it is more, however much would come", async () => {
  const bomb = zstdCompressSync(Buffer.alloc(2 ** 28));
  assert.ok(bomb.length < 10_000);
  for (const plainBytes of [1, 10, 100_000, maxChunkBytes]) {
    const before = process.memoryUsage().rss;
    await assert.rejects(unpackObject("o", bomb, packing(plainBytes)), (error) => hasCode(error, "object.oversize"));
    assert.ok(process.memoryUsage().rss - before < 2 ** 26, "the 256 MiB were not unpacked");
  }
  await assert.rejects(unpackObject("o", await packed(compressible), packing(compressible.length - 1)), (error) =>
    hasCode(error, "object.oversize"),
  );
});

test("a frame that asks for a window larger than a chunk is refused before it gets one", async () => {
  const text = Buffer.from("a few bytes");
  // RFC 8878: magic number, descriptor, window of 2^log bytes, the last block's header, raw bytes.
  const frame = (windowLog: number) =>
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (windowLog - 10) << 3, (text.length << 3) | 1, 0, 0, ...text]);
  const unpack = (windowLog: number) => unpackObject("o", frame(windowLog), packing(text.length));
  assert.ok(text.equals(await unpack(22)));
  await assert.rejects(unpack(23), (error) => hasCode(error, "object.corrupt") && /memory/.test(error.message));
});

test("a truncated, damaged or foreign frame is corrupt, or comes out as other bytes, which the digest tells", async () => {
  const whole = await packed(Buffer.concat([compressible, randomBytes(2_000)]));
  const refused = (bytes: Uint8Array) =>
    assert.rejects(unpackObject("o", bytes, packing(302_000)), (error) => hasCode(error, "object.corrupt"));
  for (const length of [0, 1, 5, whole.length >> 1, whole.length - 1]) await refused(whole.subarray(0, length));
  await refused(randomBytes(1_000));
  for (let at = 0; at < whole.length; at += 97) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ 0x55;
    const outcome = await unpackObject("o", damaged, packing(302_000)).catch((error: unknown) => error);
    if (outcome instanceof Uint8Array) assert.ok(outcome.length <= 302_000);
    else assert.ok(hasCode(outcome, "object.corrupt") || hasCode(outcome, "object.oversize"), String(outcome));
  }
});
