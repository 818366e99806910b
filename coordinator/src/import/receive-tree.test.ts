import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { digestOfBytes } from "@espalier/shared/contracts/digest";
import { FileTree, maxChunkBytes } from "@espalier/shared/contracts/files";
import { hasCode } from "@espalier/shared/errors";
import type { ImportResponse__Output } from "@espalier/shared/generated/espalier/v1/ImportResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { UploadMessage } from "@espalier/shared/generated/espalier/v1/UploadMessage";
import { type ServiceError, status } from "@grpc/grpc-js";
import { openBlobStore } from "../blobs/blob-store.ts";
import { readDocument, readWholeFile } from "../blobs/read-tree.ts";
import { startTestEndpoints } from "../grpc/testing/test-endpoints.ts";
import { openSqliteStore } from "../store/open.ts";
import { requireHonestStart } from "./accepted-files.ts";
import { importMethods } from "./operator-methods.ts";

/** A real upload over mutual TLS into a real blob store. */
async function startImports(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "espalier-import-"));
  const blobs = await openBlobStore(folder);
  const store = await openSqliteStore(join(folder, "store.db"));
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const endpoints = await startTestEndpoints(t, importMethods({ store, blobs, folder, now: () => 1 }));
  return { blobs, client: await endpoints.operatorClient() };
}

function upload(client: OperatorClient, kind: "importModel" | "importDataset", messages: UploadMessage[]) {
  return new Promise<ImportResponse__Output>((resolve, reject) => {
    const stream = client[kind]((error, response) => (response === undefined ? reject(error) : resolve(response)));
    stream.on("error", () => undefined);
    for (const message of messages) stream.write(message);
    stream.end();
  });
}

function file(path: string, bytes: Buffer, pieceBytes = 1024 * 1024): UploadMessage[] {
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, index) =>
    bytes.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  );
  return [{ file: { path, sizeBytes: bytes.length } }, ...pieces.map((data) => ({ data }))];
}

function safetensors(payloadBytes: number): Buffer {
  const header = Buffer.from("{}");
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, randomBytes(payloadBytes)]);
}

const refuses = (code: status, text: RegExp) => (error: ServiceError) => {
  assert.equal(error.code, code, error.details);
  assert.match(error.details, text);
  return true;
};

test("a model is cut into chunks of 4 MiB, read back whole, and known when it comes again", async (t) => {
  const { blobs, client } = await startImports(t);
  const weights = safetensors(2 * maxChunkBytes + 17);
  const config = Buffer.from("{}");
  const messages = [
    { tree: { name: "tiny" } },
    ...file("model.safetensors", weights, 700_001),
    ...file("config.json", config),
  ];
  const imported = await upload(client, "importModel", messages);
  assert.equal(imported.sizeBytes, weights.length + config.length);
  const tree = await readDocument(blobs, imported.digest, FileTree);
  assert.deepEqual(
    tree.files.map(({ path }) => path),
    ["config.json", "model.safetensors"],
  );
  const stored = tree.files[1]!;
  assert.deepEqual(
    stored.chunks.map(({ sizeBytes }) => sizeBytes),
    [maxChunkBytes, maxChunkBytes, 27],
  );
  assert.equal(stored.digest, digestOfBytes(weights));
  assert.deepEqual(Buffer.from(await readWholeFile(blobs, stored)), weights);
  const again = await upload(client, "importModel", messages);
  assert.deepEqual([again.digest, again.alreadyKnown], [imported.digest, true]);
});

test("pickles, code and paths out of the tree are refused by name", async (t) => {
  const { client } = await startImports(t);
  for (const path of ["pytorch_model.bin", "model.pt", "modeling_x.py", "../config.json", ".env.json", "a/b.pkl"]) {
    const messages = [{ tree: { name: "m" } }, ...file(path, Buffer.from("x"))];
    await assert.rejects(upload(client, "importModel", messages), refuses(status.INVALID_ARGUMENT, /can't be part/));
  }
});

test("a pickle that is called safetensors is refused by its first bytes", async (t) => {
  const { client } = await startImports(t);
  const pickle = Buffer.concat([Buffer.from([0x80, 0x04, 0x95]), randomBytes(64)]);
  const messages = [{ tree: { name: "m" } }, ...file("model.safetensors", pickle)];
  await assert.rejects(upload(client, "importModel", messages), refuses(status.INVALID_ARGUMENT, /isn't what/));
  assert.throws(
    () => requireHonestStart("m.gguf", Buffer.from("PK\x03\x04")),
    (error) => hasCode(error, "import.refused"),
  );
  requireHonestStart("m.gguf", Buffer.from("GGUF\x03"));
});

test("an upload that breaks off or doesn't keep to its sizes makes no tree", async (t) => {
  const { client } = await startImports(t);
  const header = { tree: { name: "d" } };
  for (const messages of [
    [header, { file: { path: "a.txt", sizeBytes: 5 } }, { data: Buffer.from("abc") }],
    [header, { file: { path: "a.txt", sizeBytes: 2 } }, { data: Buffer.from("abc") }],
    [header, { data: Buffer.from("abc") }],
    [header, ...file("a.txt", Buffer.from("abc")), ...file("a.txt", Buffer.from("abc"))],
    [{ file: { path: "a.txt", sizeBytes: 1 } }],
    [header],
  ]) {
    await assert.rejects(
      upload(client, "importDataset", messages),
      refuses(status.INVALID_ARGUMENT, /malformed|announced/),
    );
  }
  const { trees } = await new Promise<{ trees: unknown[] }>((resolve, reject) => {
    client.listModels({}, (error, response) => (response === undefined ? reject(error) : resolve(response)));
  });
  assert.deepEqual(trees, []);
});

test("a file that can't fit on the disk is refused before its data is sent", async (t) => {
  const { client } = await startImports(t);
  const messages = [{ tree: { name: "d" } }, { file: { path: "a.txt", sizeBytes: Number.MAX_SAFE_INTEGER } }];
  await assert.rejects(upload(client, "importDataset", messages), refuses(status.RESOURCE_EXHAUSTED, /doesn't fit/));
});
