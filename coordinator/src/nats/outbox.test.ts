import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Assignment } from "@espalier/shared/contracts/assignment";
import { BuildJob } from "@espalier/shared/contracts/build";
import { canonicalJson, type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import { Kit } from "@espalier/shared/contracts/kit";
import { EspalierError, hasCode } from "@espalier/shared/errors";
import { createLogger } from "@espalier/shared/logging";
import { buildConsumer, hex, streams } from "@espalier/shared/nats-names";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { openBlobStore } from "../blobs/blob-store.ts";
import { assignDevice } from "../store/assignments.ts";
import { insertDevice } from "../store/device-changes.ts";
import { applyJobProgress, requestJob } from "../store/jobs.ts";
import { insertKit } from "../store/kits.ts";
import { openSqliteStore } from "../store/open.ts";
import { enqueue, pendingOutbox } from "../store/outbox.ts";
import { createInbox } from "./inbox.ts";
import { hasObject, putObject } from "./objects.ts";
import { startOutboxSender } from "./outbox-sender.ts";
import { createProjection } from "./projection.ts";
import { reconcile } from "./reconcile.ts";
import { startTestBroker } from "./testing/test-broker.ts";
import { ensureTopology } from "./topology.ts";

async function startParts(t: TestContext) {
  const broker = await startTestBroker(t);
  let topology = await ensureTopology(broker.connection);
  const blobs = await openBlobStore(join(broker.folder, "blobs"));
  const store = await openSqliteStore(join(broker.folder, "store.db"));
  t.after(() => store.close());
  const client = jetstream(broker.connection);
  const projection = createProjection({ topology: () => topology, client, blobs });
  const vouched: Assignment[] = [];
  const startSender = () => {
    const sender = startOutboxSender({
      store,
      projection,
      onAssigned: (assignment) => vouched.push(assignment),
      log: createLogger("test", "silent"),
    });
    t.after(() => sender.stop());
    return sender;
  };
  const repair = () =>
    reconcile({
      store,
      projection,
      ensureTopology: async () => {
        topology = await ensureTopology(broker.connection);
      },
      hasReadBuildEvents: async () => true,
      log: createLogger("test", "silent"),
    });
  return { broker, topology: () => topology, blobs, store, startSender, repair, vouched };
}
type Parts = Awaited<ReturnType<typeof startParts>>;

/** A kit is the smallest artifact that the contracts allow. */
async function storeKit({ blobs }: Pick<Parts, "blobs">): Promise<{ digest: Digest; chunk: Digest }> {
  const bytes = Buffer.from("a graph");
  const chunk = await blobs.put(bytes);
  const format = { bits: 32, blockSize: 0, symmetric: true, accuracyLevel: 0 } as const;
  const kit: Kit = {
    schemaVersion: 1,
    kind: "kit",
    modelDigest: digestOfBytes("model"),
    floatFill: 0.01,
    graphs: [
      {
        id: "fp32/d1f32",
        format,
        depth: 1,
        ffnSize: 32,
        shape: {
          hiddenSize: 8,
          headSize: 4,
          vocabularySize: 16,
          contextLength: 32,
          layers: [{ heads: 2, kvHeads: 1, ffnSize: 32 }],
          linearFormat: format,
          embeddingFormat: format,
          nonEmbeddingParameters: 100,
          weightBytes: 400,
          embeddingBytes: 0,
        },
        graph: {
          file: "g.onnx",
          version: 1,
          opset: 21,
          kvDtype: "float32",
          contextLength: 32,
          layers: [{ kvHeads: 1, headSize: 4 }],
          vocabularySize: 16,
        },
        weightsFile: "g.data",
        weightsBytes: 400,
        tensors: [],
      },
    ],
    files: [
      { path: "g.onnx", sizeBytes: bytes.length, digest: chunk, chunks: [{ digest: chunk, sizeBytes: bytes.length }] },
    ],
  };
  return { digest: await blobs.put(Buffer.from(canonicalJson(Kit.parse(kit)))), chunk };
}

async function storeDataset({ blobs }: Pick<Parts, "blobs">, text: string): Promise<Digest> {
  const bytes = Buffer.from(text);
  const chunk = await blobs.put(bytes);
  const file = {
    path: "a.txt",
    sizeBytes: bytes.length,
    digest: chunk,
    chunks: [{ digest: chunk, sizeBytes: bytes.length }],
  };
  return blobs.put(Buffer.from(canonicalJson({ schemaVersion: 1, kind: "model", name: text, files: [file] })));
}

async function assign({ store }: Pick<Parts, "store">, artifactDigest: Digest | null): Promise<Assignment> {
  const variant =
    artifactDigest === null
      ? null
      : {
          artifactDigest,
          name: "v",
          modelName: "m",
          manifestBytes: 1,
          totalBytes: 1,
          timing: { promptTokens: 8, outputTokens: 4 },
        };
  return store.inTransaction((transaction) =>
    assignDevice(transaction, { deviceId: "dev-1", variant, rolloutId: null, nowMs: 1 }),
  );
}

async function enroll({ store }: Pick<Parts, "store">): Promise<void> {
  await store.inTransaction((transaction) =>
    insertDevice(transaction, {
      id: "dev-1",
      wantedName: "one",
      labels: {},
      certificateSerial: "1",
      natsPublicKey: "U",
      createdAtMs: 1,
    }),
  );
}

const kitJob = (modelDigest: Digest): BuildJob =>
  BuildJob.parse({
    schemaVersion: 1,
    kind: "kit",
    jobId: digestOfBytes(`job of ${modelDigest}`),
    modelDigest,
    requirements: { memoryBytes: 0, gpu: false },
    formats: [{ bits: 32, blockSize: 0, symmetric: true, accuracyLevel: 0 }],
  });

test("an assignment reaches the bucket with its artifact, is vouched for, and leaves the outbox", async (t) => {
  const parts = await startParts(t);
  const kit = await storeKit(parts);
  await enroll(parts);
  const assignment = await assign(parts, kit.digest);
  await parts.startSender().flush();
  const { assignments, artifacts } = parts.topology();
  assert.deepEqual((await assignments.get("dev-1"))?.json(), assignment);
  assert.ok(await hasObject(artifacts, kit.digest));
  assert.ok(await hasObject(artifacts, kit.chunk));
  const travels = await artifacts.info(hex(kit.digest));
  assert.equal(travels?.metadata?.["encoding"], "zstd");
  assert.ok((travels?.size ?? Infinity) < (await parts.blobs.get(kit.digest)).length);
  assert.deepEqual(parts.vouched, [assignment]);
  assert.deepEqual(await pendingOutbox(parts.store.db, 10), []);
});

test("what a killed coordinator owed is sent by the next one, and twice is once", async (t) => {
  const parts = await startParts(t);
  const model = await storeDataset(parts, "model");
  const job = kitJob(model);
  await parts.store.inTransaction((transaction) => requestJob(transaction, job, 1));
  // Killed after the broker acknowledged, before the entry was removed: the entry is still owed.
  const [entry] = await pendingOutbox(parts.store.db, 10);
  await parts.startSender().flush();
  await parts.store.db
    .insertInto("outbox")
    .values({ ...entry!, createdAtMs: 1 })
    .execute();
  await parts.startSender().flush();
  await parts.store.inTransaction((transaction) => enqueue(transaction, { kind: "job", subject: job.jobId, nowMs: 2 }));
  await parts.startSender().flush();
  const manager = await jetstreamManager(parts.broker.connection);
  assert.equal((await manager.streams.info(streams.buildJobs)).state.messages, 1);
  assert.ok(await hasObject(parts.topology().inputs, model), "the inputs are there before the job");
  assert.deepEqual(await pendingOutbox(parts.store.db, 10), []);
});

test("an entry that can't be sent stays owed and holds up no other", async (t) => {
  const parts = await startParts(t);
  await enroll(parts);
  await parts.store.inTransaction((transaction) => requestJob(transaction, kitJob(digestOfBytes("lost")), 1));
  const assignment = await assign(parts, null);
  await parts.startSender().flush();
  assert.deepEqual((await parts.topology().assignments.get("dev-1"))?.json(), assignment);
  assert.deepEqual(
    (await pendingOutbox(parts.store.db, 10)).map(({ kind }) => kind),
    ["job"],
  );
});

test("more entries than are read at once don't hold up what comes after them, be they sent or not", async (t) => {
  const parts = await startParts(t);
  await enroll(parts);
  const lost = Array.from({ length: 150 }, (_, n) => digestOfBytes(`lost ${n}`));
  await parts.store.inTransaction(async (transaction) => {
    for (const subject of lost) await enqueue(transaction, { kind: "artifact", subject, nowMs: 1 });
  });
  const assignment = await assign(parts, null);
  await parts.startSender().flush();
  assert.deepEqual((await parts.topology().assignments.get("dev-1"))?.json(), assignment);
  assert.equal((await pendingOutbox(parts.store.db, 1000)).length, lost.length);
});

test("a deleted broker folder is rebuilt: streams, consumers, artifacts, assignments, kits and unfinished jobs", async (t) => {
  const parts = await startParts(t);
  const { broker, store } = parts;
  await enroll(parts);
  const kit = await storeKit(parts);
  await insertKit(store.db, {
    digest: kit.digest,
    modelDigest: digestOfBytes("m"),
    formatsKey: "fp32",
    createdAtMs: 1,
  });
  const job = kitJob(await storeDataset(parts, "model"));
  await store.inTransaction((transaction) => requestJob(transaction, job, 1));
  const assignment = await assign(parts, kit.digest);
  await parts.startSender().flush();

  const reconnected = (async () => {
    for await (const status of broker.connection.status()) if (status.type === "reconnect") return;
  })();
  await rm(join(broker.folder, "nats/data"), { recursive: true });
  process.kill(Number(await readFile(join(broker.folder, "nats/server.pid"), "utf8")), "SIGKILL");
  await reconnected;

  assert.deepEqual(await parts.repair(), { assignments: 1 });
  const manager = await jetstreamManager(broker.connection);
  assert.deepEqual((await parts.topology().assignments.get("dev-1"))?.json(), assignment);
  assert.ok(await hasObject(parts.topology().artifacts, kit.chunk));
  assert.equal((await manager.consumers.info(streams.buildJobs, buildConsumer)).num_pending, 1);
  assert.deepEqual(await parts.repair(), { assignments: 0 });
  assert.equal((await manager.streams.info(streams.buildJobs)).state.messages, 1);
});

test("an assignment that someone else wrote into the bucket is put right", async (t) => {
  const parts = await startParts(t);
  await enroll(parts);
  const assignment = await assign(parts, null);
  await parts.startSender().flush();
  await parts.topology().assignments.put("dev-1", "not even JSON");
  assert.deepEqual(await parts.repair(), { assignments: 1 });
  assert.deepEqual((await parts.topology().assignments.get("dev-1"))?.json(), assignment);
});

test("a job that ended is not queued again by reconciliation", async (t) => {
  const parts = await startParts(t);
  const job = kitJob(await storeDataset(parts, "model"));
  await parts.store.inTransaction((transaction) => requestJob(transaction, job, 1));
  await applyJobProgress(parts.store.db, {
    schemaVersion: 1,
    jobId: job.jobId,
    attempt: 1,
    sequence: 1,
    builderId: "b",
    atMs: 1,
    state: "dead",
    stage: "export",
    fraction: 0,
    message: "NaN",
    resultDigest: null,
  });
  await parts.repair();
  const manager = await jetstreamManager(parts.broker.connection);
  assert.equal((await manager.streams.info(streams.buildJobs)).state.messages, 0);
});

/** A kit that a builder delivered, and its chunk. */
async function kitInInbox({ broker, topology }: Parts) {
  const builder = await openBlobStore(join(broker.folder, "builder"));
  const kit = await storeKit({ blobs: builder });
  const { inbox } = topology();
  for (const digest of [kit.chunk, kit.digest]) await putObject(inbox, builder, digest);
  return { kit, inbox };
}

test("a result moves from the inbox to the blob store with its chunks, and the inbox is empty after", async (t) => {
  const parts = await startParts(t);
  const { kit, inbox } = await kitInInbox(parts);
  const intake = createInbox({ bucket: () => inbox, blobs: parts.blobs });
  const taken = await intake.takeResult(kit.digest, Kit);
  assert.equal(taken.files[0]?.digest, kit.chunk);
  assert.ok((await parts.blobs.has(kit.chunk)) && (await parts.blobs.has(kit.digest)));
  assert.ok(!(await hasObject(inbox, kit.chunk)) && !(await hasObject(inbox, kit.digest)));
  assert.deepEqual(await intake.takeResult(kit.digest, Kit), taken, "taken again from the blob store");
});

test("an object that the blob store could not keep stays in the inbox, and is taken once there is room", async (t) => {
  const parts = await startParts(t);
  const { kit, inbox } = await kitInInbox(parts);
  const full = async (bytes: Uint8Array, expected?: Digest): Promise<Digest> => {
    if (expected === kit.digest) return parts.blobs.put(bytes, expected);
    throw new EspalierError("blob.disk-full", "the disk is full");
  };
  const withoutRoom = createInbox({ bucket: () => inbox, blobs: { ...parts.blobs, put: full } });
  await assert.rejects(withoutRoom.takeResult(kit.digest, Kit), (error) => hasCode(error, "blob.disk-full"));
  assert.ok(await hasObject(inbox, kit.chunk), "its only copy is still there");
  await createInbox({ bucket: () => inbox, blobs: parts.blobs }).takeResult(kit.digest, Kit);
  assert.ok(await parts.blobs.has(kit.chunk));
});

test("an object whose bytes don't hash to its name is refused and deleted", async (t) => {
  const parts = await startParts(t);
  const { inbox } = parts.topology();
  const claimed = digestOfBytes("what it claims");
  await inbox.putBlob({ name: claimed.slice("sha256:".length) }, Buffer.from("what it is"));
  const intake = createInbox({ bucket: () => inbox, blobs: parts.blobs });
  await assert.rejects(intake.takeResult(claimed, Kit), (error) => hasCode(error, "blob.mismatch"));
  assert.ok(!(await hasObject(inbox, claimed)));
  assert.ok(!(await parts.blobs.has(claimed)));
});
