import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { BuildJob } from "@espalier/shared/contracts/build";
import { type Digest, digestOfBytes, digestOfJson } from "@espalier/shared/contracts/digest";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { createLogger } from "@espalier/shared/logging";
import { buildConsumer, hex, streams, subjects } from "@espalier/shared/nats-names";
import { jetstream } from "@nats-io/jetstream";
import { openBlobStore } from "../blobs/blob-store.ts";
import { createInbox } from "../nats/inbox.ts";
import { startOutboxSender } from "../nats/outbox-sender.ts";
import { createProjection } from "../nats/projection.ts";
import { startTestBroker } from "../nats/testing/test-broker.ts";
import { ensureTopology } from "../nats/topology.ts";
import { defaultCandidates } from "../plan/decide/candidate-grid.ts";
import { findJob } from "../store/jobs.ts";
import { openSqliteStore } from "../store/open.ts";
import { insertTree } from "../store/trees.ts";
import { findVariantByBuild } from "../store/variants.ts";
import { createBuilds } from "./builds.ts";
import { type BuildSettings, composeBuild, composeKit } from "./compose-job.ts";
import { ingestJobEvents } from "./ingest-job-events.ts";
import { startJobEventConsumers } from "./job-event-consumers.ts";
import { fakeResult, type HandedIn, progressOf } from "./testing/fake-builder.ts";
import { kitFormats } from "./weight-formats.ts";

const log = createLogger("test", "silent");
const dense = defaultCandidates()[0] as Recipe;

/** The coordinator's building side on a real broker, database and blob store, and a builder's hands. */
async function startParts(t: TestContext) {
  const broker = await startTestBroker(t);
  const topology = await ensureTopology(broker.connection);
  const blobs = await openBlobStore(join(broker.folder, "blobs"));
  const store = await openSqliteStore(join(broker.folder, "coordinator.db"));
  const client = jetstream(broker.connection);
  const outbox = startOutboxSender({
    store,
    projection: createProjection({ topology: () => topology, client, blobs }),
    onAssigned: () => {},
    log,
  });
  const builds = createBuilds({ store, wakeOutbox: () => outbox.wake(), clock: () => 1000 });
  const inbox = createInbox({ bucket: () => topology.inbox, blobs });
  const events = ingestJobEvents({
    store,
    blobs,
    inbox,
    clock: () => 2000,
    log,
    onJobChanged: (jobId) => builds.jobChanged(jobId),
  });
  const consumers = startJobEventConsumers({ connection: broker.connection, events, log });
  t.after(async () => {
    await consumers.stop();
    await outbox.stop();
    await store.close();
  });

  const weights = Buffer.from("model weights");
  const chunk = { digest: await blobs.put(weights), sizeBytes: weights.length };
  const tree = {
    schemaVersion: 1,
    kind: "model",
    name: "model",
    files: [{ path: "w.gguf", sizeBytes: weights.length, digest: digestOfBytes(weights), chunks: [chunk] }],
  };
  const modelDigest = await blobs.put(Buffer.from(JSON.stringify(tree)));
  await insertTree(store.db, {
    digest: modelDigest,
    kind: "model",
    name: "model",
    sizeBytes: weights.length,
    importedAtMs: 1,
  });
  const settings: BuildSettings = {
    model: { digest: modelDigest, sizeBytes: weights.length },
    calibrationDigest: null,
    evaluationDigest: null,
    build: RolloutSpec.parse({ name: "r", model: "model" }).build,
  };

  return {
    broker,
    topology,
    blobs,
    store,
    client,
    builds,
    consumers,
    events,
    settings,
    async nextJob(): Promise<BuildJob> {
      const consumer = await client.consumers.get(streams.buildJobs, buildConsumer);
      const message = await consumer.next({ expires: 10_000 });
      assert.ok(message, "no job was queued");
      message.ack();
      return BuildJob.parse(message.json());
    },
    async handIn({ objects }: HandedIn): Promise<void> {
      for (const [digest, bytes] of objects) await topology.inbox.putBlob({ name: hex(digest) }, bytes);
    },
    async tell(job: BuildJob, change: Parameters<typeof progressOf>[1]): Promise<void> {
      await client.publish(subjects.buildEvent(job.jobId), JSON.stringify(progressOf(job, change)));
    },
  };
}

test("a variant is built once, its inputs lie where builders read, and its artifact ends up in the blob store", async (t) => {
  const { builds, settings, topology, blobs, nextJob, handIn, tell, store } = await startParts(t);
  const seen: number[] = [];
  const first = builds.ensureVariant(settings, dense, { onProgress: ({ fraction }) => seen.push(fraction) });
  const second = builds.ensureVariant(settings, dense);
  const job = await nextJob();
  assert.ok(await topology.inputs.info(hex(settings.model.digest)), "the model's tree is not in the inputs bucket");
  const { jobId, ...unnamed } = job;
  assert.equal(jobId, digestOfJson(unnamed));

  await tell(job, { sequence: 1, fraction: 0.25 });
  const result = fakeResult(job);
  await handIn(result);
  await tell(job, { sequence: 2, state: "succeeded", fraction: 1, resultDigest: result.resultDigest });
  const variant = await first;
  assert.deepEqual(await second, variant);
  assert.deepEqual([variant.artifactDigest, variant.name], [result.resultDigest, "dense-q8b128"]);
  assert.equal(seen.at(-1), 1);
  for (const digest of result.objects.keys()) assert.ok(await blobs.has(digest));
  assert.equal((await builds.ensureVariant(settings, dense)).artifactDigest, result.resultDigest);
  assert.equal((await findJob(store.db, jobId))?.state, "succeeded");
});

test("duplicate and reordered events change nothing", async (t) => {
  const { builds, settings, nextJob, handIn, tell, store, events } = await startParts(t);
  const done = builds.ensureVariant(settings, dense);
  const job = await nextJob();
  const result = fakeResult(job);
  await handIn(result);
  const succeeded = { sequence: 9, state: "succeeded", fraction: 1, resultDigest: result.resultDigest } as const;
  await tell(job, succeeded);
  await done;
  for (const late of [
    progressOf(job, { sequence: 3 }),
    progressOf(job, succeeded),
    progressOf(job, { sequence: 10, state: "dead" }),
  ]) {
    await events.progress(late);
  }
  await events.dead({ job, reason: "late", attempts: 4 });
  const row = await findJob(store.db, job.jobId);
  assert.deepEqual([row?.state, row?.fraction], ["succeeded", 1]);
  const variant = await findVariantByBuild(store.db, job.jobId);
  assert.equal(variant?.artifactDigest, result.resultDigest);
  assert.ok((variant?.wireBytes ?? 0) > 0 && (variant?.wireBytes ?? Infinity) < (variant?.totalBytes ?? 0));
});

test("a result that doesn't verify kills the job with the reason, and nothing of it is offered", async (t) => {
  const { builds, settings, nextJob, handIn, tell, store } = await startParts(t);
  const other = composeBuild({ ...settings, build: { ...settings.build, seed: 5 } }, defaultCandidates()[1] as Recipe);
  const cases: [string, (job: BuildJob) => HandedIn, RegExp][] = [
    ["another recipe", () => fakeResult(other), /another recipe/],
    [
      "a chunk missing",
      (job) => {
        const result = fakeResult(job);
        const lost = [...result.objects.keys()].find((digest) => digest !== result.resultDigest) as Digest;
        result.objects.delete(lost);
        return result;
      },
      /the result was refused|holds no object/,
    ],
    [
      "a KV cache that nobody asked for",
      (job) => {
        const { resultDigest, objects } = fakeResult(job);
        const manifest = JSON.parse(Buffer.from(objects.get(resultDigest) ?? []).toString());
        const bytes = Buffer.from(JSON.stringify({ ...manifest, kvCache: "int8" }));
        return { resultDigest: digestOfBytes(bytes), objects: new Map([...objects, [digestOfBytes(bytes), bytes]]) };
      },
      /KV cache is not the one asked for/,
    ],
    [
      "no JSON",
      () => {
        const bytes = Buffer.from("no json");
        const resultDigest = digestOfBytes(bytes);
        return { resultDigest, objects: new Map([[resultDigest, bytes]]) };
      },
      /doesn't match its contract/,
    ],
  ];
  for (const [index, [name, make, reason]] of cases.entries()) {
    const build = { ...settings.build, seed: 100 + index };
    const done = builds.ensureVariant({ ...settings, build }, dense);
    const refused = assert.rejects(done, { code: "build.failed" }, name);
    const job = await nextJob();
    const result = make(job);
    await handIn(result);
    await tell(job, { sequence: 2, state: "succeeded", resultDigest: result.resultDigest });
    await refused;
    assert.match((await findJob(store.db, job.jobId))?.message ?? "", reason, name);
    assert.equal(await findVariantByBuild(store.db, job.jobId), null);
  }
});

test("a dead letter ends the wait with its reason, and asking again queues the job anew", async (t) => {
  const { builds, settings, nextJob, client } = await startParts(t);
  const failed = assert.rejects(builds.ensureVariant(settings, dense), /given up after 4 attempts: out of memory/);
  const job = await nextJob();
  await client.publish(subjects.buildDead(job.jobId), JSON.stringify({ job, reason: "out of memory", attempts: 4 }));
  await failed;
  const ending = new AbortController();
  const again = assert.rejects(builds.ensureVariant(settings, dense, { signal: ending.signal }), {
    name: "AbortError",
  });
  assert.equal((await nextJob()).jobId, job.jobId);
  ending.abort();
  await again;
});

test("messages that break their contract are dropped and the ones behind them are read", async (t) => {
  const { builds, settings, nextJob, handIn, tell, client, consumers } = await startParts(t);
  const formats = kitFormats([]);
  const done = builds.ensureKit(settings.model, formats);
  const job = await nextJob();
  assert.equal(job.jobId, composeKit(settings.model, [...formats].reverse()).jobId);
  await client.publish(subjects.buildEvent(job.jobId), "{");
  await client.publish(subjects.buildEvent(job.jobId), JSON.stringify({ ...progressOf(job), fraction: 7 }));
  const result = fakeResult(job);
  await handIn(result);
  await tell(job, { sequence: 2, state: "succeeded", resultDigest: result.resultDigest });
  assert.equal((await done).digest, result.resultDigest);
  assert.equal(await consumers.hasReadAll(), true);
});
