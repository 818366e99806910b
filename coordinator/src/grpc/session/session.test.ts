import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { digestOfBytes } from "@espalier/shared/contracts/digest";
import { hasCode } from "@espalier/shared/errors";
import type { StatusReport } from "@espalier/shared/generated/espalier/v1/StatusReport";
import { loadServices, tlsChannelOptions } from "@espalier/shared/grpc";
import { credentials, type ServiceError, status } from "@grpc/grpc-js";
import { assignDevice } from "../../store/assignments.ts";
import { revokeDevice } from "../../store/device-changes.ts";
import { findDevice } from "../../store/devices.ts";
import { listEvents } from "../../store/events.ts";
import {
  enrollDevice,
  openSession,
  startTestEndpoints,
  type TestEndpoints,
  testHello,
} from "../testing/test-endpoints.ts";

const digest = digestOfBytes("artifact");
const variant = {
  artifactDigest: digest,
  name: "v",
  modelName: "m",
  manifestBytes: 1,
  totalBytes: 1,
  timing: { promptTokens: 8, outputTokens: 4 },
};

async function assign({ store }: TestEndpoints, deviceId: string): Promise<void> {
  await store.inTransaction((transaction) =>
    assignDevice(transaction, { deviceId, variant, rolloutId: "r1", nowMs: 1 }),
  );
}

/** Resolves when the hub says that this device changed so that `isTrue`. */
function becomes({ hub }: TestEndpoints, isTrue: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const stop = hub.onDeviceChanged(() => check());
    const check = () => {
      if (!isTrue()) return;
      stop();
      resolve();
    };
    check();
  });
}

async function connect(t: TestContext, endpoints: TestEndpoints) {
  const device = await enrollDevice(endpoints);
  const session = openSession(t, endpoints, device);
  session.stream.write(testHello);
  return { device, session, welcome: await session.next("welcome") };
}

test("Hello is answered by the device's own id off its certificate, and what it says is stored", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { device, welcome } = await connect(t, endpoints);
  assert.equal(welcome.deviceId, device.deviceId);
  assert.ok(endpoints.hub.isOnline(device.deviceId));
  const stored = await findDevice(endpoints.store.db, device.deviceId);
  assert.equal(stored?.hostId, "host-1");
  assert.equal(stored?.budget?.threads, 1);
});

test("a newer session of a device replaces the older", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { device, session } = await connect(t, endpoints);
  const newer = openSession(t, endpoints, device);
  newer.stream.write(testHello);
  await newer.next("welcome");
  const ended = await session.ended;
  assert.match(ended?.details ?? "", /newer session/);
  assert.ok(endpoints.hub.isOnline(device.deviceId));
});

test("the current assignment is vouched for on connect and when a new one is made", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const device = await enrollDevice(endpoints);
  await assign(endpoints, device.deviceId);
  const session = openSession(t, endpoints, device);
  session.stream.write(testHello);
  assert.deepEqual(await session.next("vouch"), { generation: { epoch: 1, n: 1 }, artifactDigest: digest });
  const next = { generation: { epoch: 1, n: 2 }, variant: null };
  const rest = { schemaVersion: 1, deviceId: device.deviceId, rolloutId: null, issuedAtMs: 1 } as const;
  endpoints.hub.vouch({ ...rest, ...next });
  endpoints.hub.vouch({ ...rest, generation: { epoch: 1, n: 3 }, variant });
  assert.deepEqual(await session.next("vouch"), { generation: { epoch: 1, n: 3 }, artifactDigest: digest });
});

test("a status report is acknowledged after it is stored, also when it comes twice", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { device, session } = await connect(t, endpoints);
  await assign(endpoints, device.deviceId);
  const report: StatusReport = {
    reportId: "report-1",
    generation: { epoch: 1, n: 1 },
    artifactDigest: digest,
    state: "STATE_ACTIVE",
    atMs: 5,
  };
  session.stream.write({ status: report });
  assert.equal((await session.next("reportAck")).reportId, "report-1");
  const stored = await findDevice(endpoints.store.db, device.deviceId);
  assert.equal(stored?.activeArtifactDigest, digest);
  session.stream.write({ status: report });
  assert.equal((await session.next("reportAck")).reportId, "report-1");
  const reports = await listEvents(endpoints.store.db, { rolloutId: "r1", limit: 10 });
  assert.deepEqual(
    reports.map(({ kind }) => kind),
    ["device.active"],
  );
});

test("a malformed report is acknowledged and dropped, or the device would repeat it for ever", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { device, session } = await connect(t, endpoints);
  session.stream.write({
    status: { reportId: "bad", generation: { epoch: 1, n: 1 }, state: "STATE_ACTIVE", artifactDigest: "not a digest" },
  });
  assert.equal((await session.next("reportAck")).reportId, "bad");
  assert.equal((await findDevice(endpoints.store.db, device.deviceId))?.status.state, "new");
});

test("a session that doesn't begin with Hello is refused", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const device = await enrollDevice(endpoints);
  const session = openSession(t, endpoints, device);
  session.stream.write({ heartbeat: { atMs: 1 } });
  assert.equal((await session.ended)?.code, status.INVALID_ARGUMENT);
  assert.ok(!endpoints.hub.isOnline(device.deviceId));
});

test("a device that falls silent is offline", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { device, session } = await connect(t, endpoints);
  await becomes(endpoints, () => !endpoints.hub.isOnline(device.deviceId));
  assert.match((await session.ended)?.details ?? "", /no message/);
});

test("a revoked device is cut off and doesn't get in again", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { device, session } = await connect(t, endpoints);
  await revokeDevice(endpoints.store.db, device.deviceId, 1);
  endpoints.hub.disconnect(device.deviceId);
  assert.equal((await session.ended)?.code, status.PERMISSION_DENIED);
  const again = openSession(t, endpoints, device);
  again.stream.write(testHello);
  assert.equal((await again.ended)?.code, status.PERMISSION_DENIED);
});

test("nobody gets in with no certificate or with one of another authority", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const stranger = await startTestEndpoints(t);
  const foreign = await enrollDevice(stranger);
  const session = openSession(t, endpoints, foreign);
  assert.equal((await session.ended)?.code, status.UNAVAILABLE, "the handshake fails");
  const bare = new (loadServices().DeviceSession)(
    endpoints.members.address,
    credentials.createSsl(Buffer.from(endpoints.authority.certificatePem)),
    tlsChannelOptions(endpoints.members.address),
  );
  t.after(() => bare.close());
  const stream = bare.connect();
  const error = await new Promise<ServiceError>((resolve) => {
    stream.on("data", () => undefined);
    stream.on("error", resolve);
  });
  assert.equal(error.code, status.UNAVAILABLE);
});

test("a device's certificate opens no operator method, an operator's no session", async (t) => {
  const endpoints = await startTestEndpoints(t, { listModels: async () => ({ trees: [] }) });
  const device = await enrollDevice(endpoints);
  const channel = credentials.createSsl(
    Buffer.from(endpoints.authority.certificatePem),
    Buffer.from(device.keyPem),
    Buffer.from(device.certificatePem),
  );
  const asDevice = new (loadServices().Operator)(
    endpoints.members.address,
    channel,
    tlsChannelOptions(endpoints.members.address),
  );
  t.after(() => asDevice.close());
  const list = (client: typeof asDevice) =>
    new Promise((resolve, reject) =>
      client.listModels({}, (error, answer) => (error ? reject(error) : resolve(answer))),
    );
  await assert.rejects(list(asDevice), (error: ServiceError) => error.code === status.PERMISSION_DENIED);
  assert.deepEqual(await list(await endpoints.operatorClient()), { trees: [] });
  const operator = await endpoints.authority.issueOperator("someone", 1);
  const session = openSession(t, endpoints, operator);
  session.stream.write(testHello);
  assert.equal((await session.ended)?.code, status.PERMISSION_DENIED);
});

test("a measurement's updates arrive until the final one, repeated to a device that reconnects", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { device, session } = await connect(t, endpoints);
  const running = Array.fromAsync(
    endpoints.hub.measure(device.deviceId, [{ memoryBandwidth: {} }], new AbortController().signal),
  );
  const { commandId } = await session.next("measure");
  session.stream.write({ measurement: { commandId, state: "STATE_RUNNING", message: "half", fraction: 0.5 } });
  const newer = openSession(t, endpoints, device);
  newer.stream.write(testHello);
  assert.equal((await newer.next("measure")).commandId, commandId);
  newer.stream.write({ measurement: { commandId, state: "STATE_FAILED", message: "no memory", fraction: 1 } });
  const updates = await running;
  assert.equal(updates.at(-1)?.message, "no memory");
});

test("another device can't answer a measurement, and cancelling reaches the device", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const first = await connect(t, endpoints);
  const second = await connect(t, endpoints);
  const controller = new AbortController();
  const running = Array.fromAsync(endpoints.hub.measure(first.device.deviceId, [{ diskWrite: {} }], controller.signal));
  const { commandId } = await first.session.next("measure");
  const refused = assert.rejects(running, /operator went away/);
  second.session.stream.write({ measurement: { commandId, state: "STATE_SUCCEEDED" } });
  second.session.stream.write({ status: { reportId: "after-it" } });
  await second.session.next("reportAck");
  controller.abort(new Error("the operator went away"));
  assert.equal((await first.session.next("cancelMeasurement")).commandId, commandId);
  await refused;
});

test("measuring a device that is away for longer than the grace period fails by name", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const device = await enrollDevice(endpoints);
  const running = Array.fromAsync(
    endpoints.hub.measure(device.deviceId, [{ diskWrite: {} }], new AbortController().signal),
  );
  await assert.rejects(running, (error) => hasCode(error, "device.offline"));
});

test("a device's log is read over its session, a page after the other, and by its own answers only", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const first = await connect(t, endpoints);
  const second = await connect(t, endpoints);
  const { signal } = new AbortController();
  const reading = endpoints.hub.readLogs(first.device.deviceId, { after: 7, lines: 2 }, signal);
  const { requestId, after, lines } = await first.session.next("readLogs");
  assert.deepEqual([after, lines], [7, 2]);
  second.session.stream.write({ logs: { requestId, lines: ["not its own"], next: 1 } });
  second.session.stream.write({ status: { reportId: "after-it" } });
  await second.session.next("reportAck");
  first.session.stream.write({ logs: { requestId, lines: ["a", "x".repeat(10_000)], next: 9, missed: 1 } });
  const answer = await reading;
  assert.deepEqual([answer.lines[0], answer.lines[1]?.length, answer.next, answer.missed], ["a", 4_096, 9, 1]);
});

test("the log of a device that is away, or goes in mid-question, can't be read, and the remedy is another place", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { device, session } = await connect(t, endpoints);
  const { signal } = new AbortController();
  const reading = endpoints.hub.readLogs(device.deviceId, { after: 0, lines: 1 }, signal);
  await session.next("readLogs");
  session.stream.cancel();
  await assert.rejects(reading, (error) => hasCode(error, "device.offline"));
  const again = endpoints.hub.readLogs(device.deviceId, { after: 0, lines: 1 }, signal);
  await assert.rejects(again, (error) => hasCode(error, "device.offline"));
});
