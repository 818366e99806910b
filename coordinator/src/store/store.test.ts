import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import type { BuildJob, BuildProgress } from "@espalier/shared/contracts/build";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import { hasCode } from "@espalier/shared/errors";
import { assignDevice, findAssignment } from "./assignments.ts";
import { insertDevice, recordReport } from "./device-changes.ts";
import { findDevice } from "./devices.ts";
import { listEvents } from "./events.ts";
import { applyJobProgress, findJob, requestJob } from "./jobs.ts";
import { readMeta, writeMeta } from "./meta.ts";
import { openSqliteStore, type Store } from "./open.ts";
import { pendingOutbox } from "./outbox.ts";
import { claimToken, insertToken } from "./tokens.ts";

async function openTestStore(t: TestContext): Promise<{ store: Store; path: string }> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-store-"));
  const path = join(folder, "coordinator.db");
  const store = await openSqliteStore(path);
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  return { store, path };
}

async function enroll(store: Store, id: string, wantedName = id): Promise<string> {
  return store.inTransaction((transaction) =>
    insertDevice(transaction, {
      id,
      wantedName,
      labels: { tier: "small" },
      certificateSerial: "01",
      natsPublicKey: "U",
      createdAtMs: 1,
    }),
  );
}

const variant = (text: string) => ({
  artifactDigest: digestOfBytes(text),
  name: text,
  modelName: "m",
  manifestBytes: 1,
  totalBytes: 2,
  timing: { promptTokens: 8, outputTokens: 4 },
});

test("a store opened again keeps its rows and applies no migration twice", async (t) => {
  const { store, path } = await openTestStore(t);
  await writeMeta(store.db, "colour", "green");
  const again = await openSqliteStore(path);
  t.after(() => again.close());
  assert.equal(await readMeta(again.db, "colour"), "green");
});

test("commits are on the disk before they return: write-ahead log with full synchronisation", async (t) => {
  const { store, path } = await openTestStore(t);
  await writeMeta(store.db, "a", "b");
  const other = new DatabaseSync(path);
  t.after(() => other.close());
  assert.equal(other.prepare("PRAGMA journal_mode").get()?.["journal_mode"], "wal");
  const { sql } = await import("kysely");
  const own = await sql<{ synchronous: number }>`PRAGMA synchronous`.execute(store.db);
  assert.equal(own.rows[0]?.synchronous, 2);
});

test("a database written by a newer version is refused with the remedy", async (t) => {
  const { store, path } = await openTestStore(t);
  await store.close();
  const raw = new DatabaseSync(path);
  raw.exec("insert into kysely_migration values ('9999-from-the-future', '2040-01-01')");
  raw.close();
  await assert.rejects(openSqliteStore(path), (error) => hasCode(error, "store.migration-failed"));
});

test("of ten simultaneous claims of one token exactly one succeeds", async (t) => {
  const { store } = await openTestStore(t);
  await insertToken(store.db, { hash: "h", labels: { a: "b" }, expiresAtMs: 100, createdAtMs: 0 });
  const claims = await Promise.all(
    Array.from({ length: 10 }, (_, index) => claimToken(store.db, { hash: "h", usedBy: `d${index}`, nowMs: 5 })),
  );
  const successes = claims.filter((claim) => claim.claimed);
  assert.deepEqual(successes, [{ claimed: true, labels: { a: "b" } }]);
  assert.ok(claims.every((claim) => claim.claimed || claim.refusal === "used"));
});

test("a token is refused from its expiry on, and one that never was says so", async (t) => {
  const { store } = await openTestStore(t);
  await insertToken(store.db, { hash: "h", labels: {}, expiresAtMs: 100, createdAtMs: 0 });
  assert.deepEqual(await claimToken(store.db, { hash: "h", usedBy: "d", nowMs: 100 }), {
    claimed: false,
    refusal: "expired",
  });
  assert.deepEqual(await claimToken(store.db, { hash: "x", usedBy: "d", nowMs: 1 }), {
    claimed: false,
    refusal: "unknown",
  });
});

test("devices that want the same name get different ones", async (t) => {
  const { store } = await openTestStore(t);
  assert.equal(await enroll(store, "dev-1", "camera"), "camera");
  assert.equal(await enroll(store, "dev-2", "camera"), "camera-2");
});

test("an assignment raises the generation and is owed to NATS; the same decision again does neither", async (t) => {
  const { store } = await openTestStore(t);
  await enroll(store, "dev-1");
  const decide = (text: string, rolloutId: string) =>
    store.inTransaction((transaction) =>
      assignDevice(transaction, { deviceId: "dev-1", variant: variant(text), rolloutId, nowMs: 7 }),
    );
  assert.deepEqual((await decide("a", "r1")).generation, { epoch: 1, n: 1 });
  assert.deepEqual((await decide("a", "r1")).generation, { epoch: 1, n: 1 });
  assert.deepEqual((await decide("b", "r1")).generation, { epoch: 1, n: 2 });
  assert.equal((await pendingOutbox(store.db, 10)).length, 2);
});

test("after a restore with a raised epoch the next assignment starts at that epoch", async (t) => {
  const { store } = await openTestStore(t);
  await enroll(store, "dev-1");
  const decide = () =>
    store.inTransaction((transaction) =>
      assignDevice(transaction, { deviceId: "dev-1", variant: variant("a"), rolloutId: "r", nowMs: 7 }),
    );
  await decide();
  await writeMeta(store.db, "epoch", "2");
  assert.deepEqual((await decide()).generation, { epoch: 2, n: 1 });
});

test("a transaction that throws leaves neither assignment nor outbox entry", async (t) => {
  const { store } = await openTestStore(t);
  await enroll(store, "dev-1");
  const work = store.inTransaction(async (transaction) => {
    await assignDevice(transaction, { deviceId: "dev-1", variant: null, rolloutId: null, nowMs: 7 });
    throw new Error("killed here");
  });
  await assert.rejects(work, /killed here/);
  assert.equal(await findAssignment(store.db, "dev-1"), null);
  assert.deepEqual(await pendingOutbox(store.db, 10), []);
});

test("a repeated status report changes nothing and an older generation doesn't overwrite a newer one", async (t) => {
  const { store } = await openTestStore(t);
  await enroll(store, "dev-1");
  const report = (reportId: string, n: number, state: "active" | "failed", digest: Digest) =>
    store.inTransaction((transaction) =>
      recordReport(
        transaction,
        {
          deviceId: "dev-1",
          reportId,
          generation: { epoch: 1, n },
          artifactDigest: digest,
          state,
          reason: "",
          atMs: 1,
          downloadedBytes: 0,
          totalBytes: 0,
          proof: null,
        },
        { rolloutId: null, nowMs: 1 },
      ),
    );
  const [a, b] = [digestOfBytes("a"), digestOfBytes("b")];
  assert.equal(await report("1", 1, "active", a), true);
  assert.equal(await report("2", 2, "failed", b), true);
  assert.equal(await report("2", 2, "failed", b), false);
  assert.equal(await report("late", 1, "active", b), false);
  const device = await findDevice(store.db, "dev-1");
  assert.equal(device?.status.state, "failed");
  assert.equal(device?.activeArtifactDigest, a, "the previous variant keeps serving after a failure");
  assert.equal((await listEvents(store.db, { deviceId: "dev-1", limit: 10 })).length, 3);
});

const job: BuildJob = {
  schemaVersion: 1,
  kind: "kit",
  jobId: digestOfBytes("job"),
  modelDigest: digestOfBytes("model"),
  requirements: { memoryBytes: 0, gpu: false },
  formats: [{ bits: 32, blockSize: 0, symmetric: true, accuracyLevel: 0 }],
};

const progress = (over: Partial<BuildProgress>): BuildProgress => ({
  schemaVersion: 1,
  jobId: job.jobId,
  attempt: 1,
  sequence: 0,
  builderId: "b",
  atMs: 1,
  state: "running",
  stage: "export",
  fraction: 0.5,
  message: "",
  resultDigest: null,
  ...over,
});

test("job progress applies in order of attempt and sequence, and an end is final", async (t) => {
  const { store } = await openTestStore(t);
  assert.equal(await store.inTransaction((transaction) => requestJob(transaction, job, 1)), true);
  assert.equal(await store.inTransaction((transaction) => requestJob(transaction, job, 2)), false);
  assert.equal(await applyJobProgress(store.db, progress({ sequence: 0 })), true);
  assert.equal(await applyJobProgress(store.db, progress({ sequence: 2, fraction: 0.9 })), true);
  assert.equal(await applyJobProgress(store.db, progress({ sequence: 1, fraction: 0.7 })), false);
  const done = progress({ attempt: 2, state: "succeeded", resultDigest: digestOfBytes("kit") });
  assert.equal(await applyJobProgress(store.db, done), true);
  assert.equal(await applyJobProgress(store.db, progress({ attempt: 3 })), false);
  assert.equal((await findJob(store.db, job.jobId))?.state, "succeeded");
  assert.equal((await pendingOutbox(store.db, 10)).length, 1);
});

test("a dead job asked for again is queued anew", async (t) => {
  const { store } = await openTestStore(t);
  await store.inTransaction((transaction) => requestJob(transaction, job, 1));
  await applyJobProgress(store.db, progress({ state: "dead", message: "NaN" }));
  assert.equal(await store.inTransaction((transaction) => requestJob(transaction, job, 9)), true);
  const queued = await findJob(store.db, job.jobId);
  assert.deepEqual([queued?.state, queued?.attempt, queued?.message], ["queued", 0, ""]);
});
