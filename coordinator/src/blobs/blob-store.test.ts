import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { digestOfBytes } from "@espalier/shared/contracts/digest";
import { maxChunkBytes } from "@espalier/shared/contracts/files";
import { hasCode } from "@espalier/shared/errors";
import { hex } from "@espalier/shared/nats-names";
import { openBlobStore } from "./blob-store.ts";
import { readWholeFile } from "./read-tree.ts";

async function testFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-blobs-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("a blob is found by the digest of its bytes and listed once however often it is put", async (t) => {
  const blobs = await openBlobStore(await testFolder(t));
  const bytes = Buffer.from("weights");
  const digest = await blobs.put(bytes);
  assert.equal(digest, digestOfBytes(bytes));
  await Promise.all([blobs.put(bytes), blobs.put(bytes)]);
  assert.deepEqual(await blobs.get(digest), bytes);
  assert.deepEqual(await Array.fromAsync(blobs.list()), [digest]);
});

test("bytes with another digest than announced, and blobs over 4 MiB, are refused", async (t) => {
  const blobs = await openBlobStore(await testFolder(t));
  await assert.rejects(blobs.put(Buffer.from("a"), digestOfBytes("b")), (error) => hasCode(error, "blob.mismatch"));
  await assert.rejects(blobs.put(new Uint8Array(maxChunkBytes + 1)), (error) => hasCode(error, "blob.oversize"));
  assert.deepEqual(await Array.fromAsync(blobs.list()), []);
});

test("a blob that the disk damaged is never handed out", async (t) => {
  const folder = await testFolder(t);
  const blobs = await openBlobStore(folder);
  const digest = await blobs.put(Buffer.from("weights"));
  await truncate(join(folder, "sha256", hex(digest).slice(0, 2), hex(digest)), 3);
  await assert.rejects(blobs.get(digest), (error) => hasCode(error, "blob.corrupt"));
  await assert.rejects(blobs.get(digestOfBytes("no")), (error) => hasCode(error, "blob.missing"));
});

test("a blob found damaged counts as missing and heals when it is put again; one of another length heals unseen", async (t) => {
  const folder = await testFolder(t);
  const blobs = await openBlobStore(folder);
  const bytes = Buffer.from("weights");
  const digest = await blobs.put(bytes);
  const path = join(folder, "sha256", hex(digest).slice(0, 2), hex(digest));
  await writeFile(path, "weighty");
  await assert.rejects(blobs.get(digest), (error) => hasCode(error, "blob.corrupt"));
  assert.equal(await blobs.has(digest), false);
  await blobs.put(bytes);
  assert.deepEqual(await blobs.get(digest), bytes);
  assert.equal(await blobs.has(digest), true);
  await truncate(path, 3);
  await blobs.put(bytes);
  assert.deepEqual(await blobs.get(digest), bytes);
});

test("what a kill left half written is gone after the next start", async (t) => {
  const folder = await testFolder(t);
  await openBlobStore(folder);
  await writeFile(join(folder, "incoming", "half"), "torn");
  const blobs = await openBlobStore(folder);
  assert.deepEqual(await readdir(join(folder, "incoming")), []);
  assert.deepEqual(await Array.fromAsync(blobs.list()), []);
});

test("a full disk gives a typed error and leaves nothing", async (t) => {
  const folder = await testFolder(t);
  const small = join(folder, "small");
  await mkdir(small);
  const run = promisify(execFile);
  try {
    await run("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", small]);
  } catch {
    t.skip("a file system of 64 KiB can only be mounted by root");
    return;
  }
  try {
    const blobs = await openBlobStore(small);
    await assert.rejects(blobs.put(new Uint8Array(1024 * 1024)), (error) => hasCode(error, "blob.disk-full"));
    assert.deepEqual(await readdir(join(small, "incoming")), []);
    const digest = await blobs.put(Buffer.from("fits"));
    assert.deepEqual(await Array.fromAsync(blobs.list()), [digest]);
  } finally {
    await run("umount", [small]);
  }
});

test("a file is read back from its chunks in order", async (t) => {
  const blobs = await openBlobStore(await testFolder(t));
  const parts = ["one ", "two ", "three"];
  const chunks = await Promise.all(
    parts.map(async (text) => ({ digest: await blobs.put(Buffer.from(text)), sizeBytes: text.length })),
  );
  const text = parts.join("");
  const file = { path: "a.txt", sizeBytes: text.length, digest: digestOfBytes(text), chunks };
  assert.equal(Buffer.from(await readWholeFile(blobs, file)).toString(), text);
});
