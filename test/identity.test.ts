/** What a device or a builder can and can't do on a real broker, with the credentials that enrollment gives. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Assignment } from "@espalier/shared/contracts/assignment";
import { digestOfBytes } from "@espalier/shared/contracts/digest";
import { assignmentSubject } from "@espalier/shared/device-permissions";
import { buildConsumer, hex, inboxPrefix, streams, subjects } from "@espalier/shared/nats-names";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { createUser } from "@nats-io/nkeys";
import { Objm } from "@nats-io/obj";
import { connect, credsAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { createArtifactBucket } from "../agent/src/download/artifact-bucket.ts";
import { watchAssignment } from "../agent/src/nats/assignments.ts";
import { connectBroker } from "../agent/src/nats/connect.ts";
import { openBlobStore } from "../coordinator/src/blobs/blob-store.ts";
import { putObject, putPacked } from "../coordinator/src/nats/objects.ts";
import { startTestBroker } from "../coordinator/src/nats/testing/test-broker.ts";
import { ensureTopology } from "../coordinator/src/nats/topology.ts";

const chunk = Buffer.alloc(1_500_000, "weights ");
const input = Buffer.from("a base model's weights");
const assignmentOf = (deviceId: string): Assignment => ({
  schemaVersion: 1,
  deviceId,
  generation: { epoch: 1, n: 1 },
  rolloutId: "r1",
  variant: null,
  issuedAtMs: 1,
});

/** A broker that holds an assignment for A and B, a chunk in `artifacts`, another in `inputs`; A connected. */
async function startFleet(t: TestContext) {
  const broker = await startTestBroker(t);
  const topology = await ensureTopology(broker.connection);
  const folder = await mkdtemp(join(tmpdir(), "espalier-identity-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const blobs = await openBlobStore(folder);
  const digest = await blobs.put(chunk);
  await putPacked(topology.artifacts, blobs, digest);
  const inputDigest = await blobs.put(input);
  await putObject(topology.inputs, blobs, inputDigest);
  for (const id of ["dev-a", "dev-b"]) await topology.assignments.put(id, JSON.stringify(assignmentOf(id)));
  const connectDevice = async (deviceId: string) => {
    const pair = createUser();
    const jwt = broker.identity.deviceJwt(deviceId, pair.getPublicKey());
    const seed = new TextDecoder().decode(pair.getSeed());
    const connection = await connectBroker({ deviceId, natsUrls: [broker.server.url], user: { jwt: () => jwt, seed } });
    t.after(() => connection.close());
    return connection;
  };
  return { broker, topology, blobs, digest, inputDigest, connectDevice, a: await connectDevice("dev-a") };
}

/** Asks and tells what came back; "denied" when the broker let nothing through. */
async function ask(connection: NatsConnection, subject: string, payload: unknown = ""): Promise<string> {
  const body = typeof payload === "string" ? payload : JSON.stringify(payload);
  try {
    const answer = await connection.request(subject, body, { timeout: 2_000 });
    return `${answer.headers?.toString() ?? ""}${answer.string()}`;
  } catch {
    return "denied";
  }
}

/** Whether publishing is allowed: the broker tells a violation on the connection. */
async function canPublish(connection: NatsConnection, subject: string): Promise<boolean> {
  const violation = (async () => {
    for await (const status of connection.status()) {
      if (status.type === "error" && String(status.error).includes(subject)) return false;
    }
    return true;
  })();
  connection.publish(subject, "{}");
  await connection.flush();
  return Promise.race([
    violation,
    connection
      .flush()
      .then(() => connection.flush())
      .then(() => true),
  ]);
}

test("a device reads its own assignment, old and new, and chunks of artifacts", async (t) => {
  const { a, topology, digest } = await startFleet(t);
  const ending = new AbortController();
  const heard: number[] = [];
  const { promise: second, resolve } = Promise.withResolvers<void>();
  const watching = watchAssignment(
    {
      connection: a,
      deviceId: "dev-a",
      onAssignment: async ({ generation }) => {
        heard.push(generation.n);
        if (generation.n === 1) {
          const next = { ...assignmentOf("dev-a"), generation: { epoch: 1, n: 2 } };
          await topology.assignments.put("dev-a", JSON.stringify(next));
        } else resolve();
      },
      log: { warn: (fields, message) => assert.fail(`${message} ${JSON.stringify(fields)}`) },
    },
    ending.signal,
  );
  await second;
  ending.abort();
  await watching;
  assert.deepEqual(heard, [1, 2]);
  const bytes = await createArtifactBucket(a).read(digest, chunk.length, AbortSignal.timeout(10_000));
  assert.deepEqual(Buffer.from(bytes), chunk);
});

test("what compresses travels packed and what doesn't as it is; what lies there plain stays so, and all of it is read", async (t) => {
  const { a, topology, blobs, digest } = await startFleet(t);
  const noise = randomBytes(chunk.length);
  const older = Buffer.alloc(chunk.length, "put before anything was packed ");
  const [noiseDigest, olderDigest] = [await blobs.put(noise), await blobs.put(older)];
  await putObject(topology.artifacts, blobs, olderDigest);
  for (const each of [noiseDigest, olderDigest]) await putPacked(topology.artifacts, blobs, each);
  const sizes = [digest, noiseDigest, olderDigest].map(
    async (each) => (await topology.artifacts.info(hex(each)))?.size,
  );
  const [packed, ...plain] = await Promise.all(sizes);
  assert.ok((packed ?? chunk.length) < chunk.length / 100);
  assert.deepEqual(plain, [noise.length, older.length]);
  const bucket = createArtifactBucket(a);
  for (const expected of [chunk, noise, older]) {
    const bytes = await bucket.read(digestOfBytes(expected), expected.length, AbortSignal.timeout(10_000));
    assert.ok(expected.equals(bytes));
  }
});

test("a device publishes its own telemetry, and nothing as another device", async (t) => {
  const { a } = await startFleet(t);
  assert.ok(await canPublish(a, subjects.telemetry("dev-a")));
  for (const subject of [
    subjects.telemetry("dev-b"),
    assignmentSubject("dev-a"),
    assignmentSubject("dev-b"),
    "$O.artifacts.C.mine",
    "$O.inbox.C.mine",
    subjects.buildJob(digestOfBytes("job")),
    subjects.buildEvent(digestOfBytes("job")),
    "$SYS.REQ.CLAIMS.UPDATE",
  ]) {
    assert.ok(!(await canPublish(a, subject)), subject);
  }
});

test("no request of a device answers with another's assignment", async (t) => {
  const { a } = await startFleet(t);
  const own = `$JS.API.DIRECT.GET.KV_assignments.${assignmentSubject("dev-a")}`;
  assert.match(await ask(a, own), /"deviceId":"dev-a"/, "its own is read");
  const other = assignmentSubject("dev-b");
  const attempts: [string, unknown?][] = [
    [`$JS.API.DIRECT.GET.KV_assignments.${other}`],
    ["$JS.API.DIRECT.GET.KV_assignments", { last_by_subj: other }],
    ["$JS.API.STREAM.MSG.GET.KV_assignments", { last_by_subj: other }],
    // The allowed subject, another key in the payload.
    [own, { last_by_subj: other }],
    [own, { seq: 2 }],
    [own, { multi_last: [other], batch: 10 }],
    [own, { next_by_subj: other, batch: 10 }],
  ];
  for (const [subject, payload] of attempts) {
    const answer = await ask(a, subject, payload);
    assert.doesNotMatch(answer, /dev-b/, `${subject} ${JSON.stringify(payload)}`);
  }
});

test("a device can't hear another's assignment or telemetry", async (t) => {
  const { a } = await startFleet(t);
  for (const subject of [assignmentSubject("dev-b"), "$KV.>", ">", subjects.telemetry("dev-b"), "_IN.dev-b.>"]) {
    const refused = await new Promise<unknown>((resolve) => {
      a.subscribe(subject, { callback: (error) => resolve(error) });
    });
    assert.match(String(refused), /permissions violation/i, subject);
  }
});

test("a device creates consumers on the chunks of artifacts and nowhere else", async (t) => {
  const { a } = await startFleet(t);
  const create = (subjectStream: string, name: string, filter: string, payload: { stream: string; filter?: string }) =>
    ask(a, `$JS.API.CONSUMER.CREATE.${subjectStream}.${name}${filter === "" ? "" : `.${filter}`}`, {
      stream_name: payload.stream,
      config: {
        name,
        ack_policy: "none",
        deliver_policy: "all",
        ...(payload.filter === undefined ? {} : { filter_subject: payload.filter }),
      },
    });
  const chunks = "$O.artifacts.C.abc";
  assert.match(await create("OBJ_artifacts", "c0", chunks, { stream: "OBJ_artifacts", filter: chunks }), /"config"/);
  const others = [
    await create("KV_assignments", "c1", "$KV.assignments.>", {
      stream: "KV_assignments",
      filter: "$KV.assignments.>",
    }),
    await create("KV_assignments", "c2", "", { stream: "KV_assignments" }),
    await create("OBJ_inputs", "c3", "$O.inputs.C.abc", { stream: "OBJ_inputs", filter: "$O.inputs.C.abc" }),
    await create("BUILD_JOBS", "c4", "", { stream: "BUILD_JOBS" }),
    await create("TELEMETRY", "c5", subjects.telemetry("dev-b"), { stream: "TELEMETRY" }),
    // The allowed subject, another stream or filter in the payload.
    await create("OBJ_artifacts", "c6", chunks, { stream: "KV_assignments", filter: "$KV.assignments.>" }),
    await create("OBJ_artifacts", "c7", chunks, { stream: "OBJ_artifacts", filter: "$O.artifacts.>" }),
  ];
  for (const answer of others) assert.doesNotMatch(answer, /"config"/);
});

test("a device reads neither inputs nor inbox, and deletes nothing", async (t) => {
  const { a, inputDigest, topology, digest } = await startFleet(t);
  const name = Buffer.from(hex(inputDigest)).toString("base64url");
  for (const [subject, payload] of [
    [`$JS.API.DIRECT.GET.OBJ_inputs.$O.inputs.M.${name}`, ""],
    ["$JS.API.STREAM.MSG.GET.OBJ_inputs", { seq: 1 }],
    ["$JS.API.STREAM.INFO.OBJ_inputs", ""],
    ["$JS.API.STREAM.INFO.OBJ_inbox", ""],
    ["$JS.API.STREAM.LIST", ""],
    ["$JS.API.STREAM.PURGE.OBJ_artifacts", ""],
    ["$JS.API.STREAM.DELETE.OBJ_artifacts", ""],
    ["$JS.API.STREAM.MSG.DELETE.KV_assignments", { seq: 1 }],
  ] as const) {
    assert.equal(await ask(a, subject, payload), "denied", subject);
  }
  assert.ok(await topology.artifacts.info(hex(digest)));
});

test("a device's JWT is worth nothing without its key", async (t) => {
  const { broker } = await startFleet(t);
  const victim = createUser().getPublicKey();
  const jwt = broker.identity.deviceJwt("dev-b", victim);
  const thief = new TextDecoder().decode(createUser().getSeed());
  const { jwtAuthenticator } = await import("@nats-io/transport-node");
  await assert.rejects(
    connect({
      servers: [broker.server.url],
      authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(thief)),
      reconnect: false,
    }),
    /authorization violation/i,
  );
  await assert.rejects(connect({ servers: [broker.server.url], reconnect: false }), /authorization violation/i);
});

test("a builder takes jobs, tells progress, reads inputs and fills the inbox, and nothing else", async (t) => {
  const { broker, topology, inputDigest, blobs } = await startFleet(t);
  const builder = await connect({
    servers: [broker.server.url],
    authenticator: credsAuthenticator(new TextEncoder().encode(broker.identity.builderCredentials)),
    inboxPrefix: inboxPrefix("builder"),
  });
  t.after(() => builder.close());
  const jobId = digestOfBytes("job");
  await jetstream(broker.connection).publish(subjects.buildJob(jobId), "{}");

  const client = jetstream(builder, { checkAPI: false } as never);
  const consumer = await client.consumers.get(streams.buildJobs, buildConsumer);
  const job = await consumer.next({ expires: 2_000 });
  assert.ok(job);
  job.working();
  await client.publish(subjects.buildEvent(jobId), "{}");
  await client.publish(subjects.buildDead(jobId), "{}");
  assert.ok(await job.ackAck());
  const manager = await jetstreamManager(broker.connection);
  assert.equal((await manager.streams.info(streams.buildJobs)).state.messages, 0, "the acknowledgement counted");

  const objects = new Objm(client);
  const read = await (await objects.open("inputs")).getBlob(hex(inputDigest));
  assert.deepEqual(Buffer.from(read ?? []), input);
  const inbox = await objects.open("inbox");
  await putObject(inbox, blobs, inputDigest);
  assert.ok(await topology.inbox.info(hex(inputDigest)));

  for (const subject of [
    "$O.artifacts.C.mine",
    "$O.inputs.C.mine",
    assignmentSubject("dev-a"),
    subjects.telemetry("dev-a"),
    subjects.buildJob(jobId),
  ]) {
    assert.ok(!(await canPublish(builder, subject)), subject);
  }
  assert.equal(await ask(builder, `$JS.API.DIRECT.GET.KV_assignments.${assignmentSubject("dev-a")}`), "denied");
  assert.equal(await ask(builder, "$JS.API.STREAM.DELETE.BUILD_JOBS"), "denied");
});
