import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import type { Measurements } from "@espalier/shared/contracts/profile";
import { hasCode } from "@espalier/shared/errors";
import { toDocument } from "@espalier/shared/grpc";
import { enrollDevice, openSession, startTestEndpoints, testHello } from "../grpc/testing/test-endpoints.ts";
import { syntheticKit, syntheticProfile } from "../predict/testing/synthetic-device.ts";
import { findProfile } from "../store/profiles.ts";
import { createDeviceMeasurer } from "./measure-device.ts";
import { mergeMeasurements } from "./merge-measurements.ts";

const kitDigest = digestOfBytes("kit");
const probeDigest = digestOfBytes("probe");
const sample = (median: number) => ({ median, p90: median, relativeSpread: 0, repetitions: 3 });
const timing = (artifactDigest: Digest, tpot: number) => ({
  artifactDigest,
  promptTokens: 8,
  outputTokens: 4,
  ttftMs: sample(10),
  tpotMs: sample(tpot),
  ttftEachMs: [10],
  tpotEachMs: [tpot],
  peakMemoryBytes: 1000,
  joulesPerToken: null,
  loadMs: 1,
});
const measured = (over: Partial<Measurements> = {}): Measurements => ({
  memoryBandwidthBytesPerSecond: sample(1e9),
  diskWriteBytesPerSecond: null,
  downloadBytesPerSecond: null,
  kit: null,
  baseMemoryBytes: null,
  variants: [],
  ...over,
});

async function connect(t: TestContext) {
  const endpoints = await startTestEndpoints(t);
  const device = await enrollDevice(endpoints);
  const session = openSession(t, endpoints, device);
  session.stream.write(testHello);
  await session.next("welcome");
  const put: Digest[] = [];
  const measurer = createDeviceMeasurer({
    store: endpoints.store,
    hub: endpoints.hub,
    putArtifact: async (digest) => void put.push(digest),
    putDownloadProbe: async () => [probeDigest],
    now: () => 7,
  });
  return { endpoints, deviceId: device.deviceId, session, measurer, put };
}

test("the standard suite fetches the kit first and ends in the device's profile", async (t) => {
  const { endpoints, deviceId, session, measurer, put } = await connect(t);
  const running = Array.fromAsync(measurer.withKit(deviceId, kitDigest, new AbortController().signal));
  const command = await session.next("measure");
  assert.deepEqual(put, [kitDigest]);
  assert.deepEqual(
    command.items.map(({ kind }) => kind),
    ["memoryBandwidth", "diskWrite", "download", "kit"],
  );
  assert.deepEqual(command.items[2]?.download?.digests, [probeDigest]);
  const { commandId } = command;
  session.stream.write({ measurement: { commandId, state: "STATE_WAITING", message: "in turn", fraction: 0 } });
  const measurements = toDocument("Measurements", measured());
  session.stream.write({ measurement: { commandId, state: "STATE_SUCCEEDED", fraction: 1, measurements } });
  const updates = await running;
  assert.deepEqual(
    updates.map(({ state }) => state),
    ["waiting", "succeeded"],
  );
  const profile = await findProfile(endpoints.store.db, deviceId);
  assert.equal(profile?.measuredAtMs, 7);
  assert.deepEqual([profile?.version, profile?.reason], [1, "never measured before"]);
  assert.equal(profile?.measurements.memoryBandwidthBytesPerSecond?.median, 1e9);
});

/** A measurement that runs as `commandId`, and a second one of the same kit that waits for it. */
async function measureTwice(t: TestContext) {
  const { deviceId, session, measurer } = await connect(t);
  const { signal } = new AbortController();
  const first = Array.fromAsync(measurer.withKit(deviceId, kitDigest, signal));
  const { commandId } = await session.next("measure");
  const second = measurer.withKit(deviceId, kitDigest, signal)[Symbol.asyncIterator]();
  assert.equal((await second.next()).value?.state, "waiting");
  return { deviceId, session, measurer, signal, first, commandId, second, following: second.next() };
}

test("two measurements of one device follow one another", async (t) => {
  const { session, first, commandId, following } = await measureTwice(t);
  session.stream.write({ measurement: { commandId, state: "STATE_FAILED", message: "no memory", fraction: 1 } });
  assert.equal((await first).at(-1)?.state, "failed");
  const next = await session.next("measure");
  assert.notEqual(next.commandId, commandId);
  session.stream.write({ measurement: { commandId: next.commandId, state: "STATE_CANCELLED", fraction: 1 } });
  assert.equal((await following).value?.state, "cancelled");
});

test("what another measurement of the same kit found meanwhile is not measured again", async (t) => {
  const { deviceId, session, measurer, signal, first, commandId, second, following } = await measureTwice(t);
  const busy = measurer.withKit(deviceId, kitDigest, signal, { sustainedSeconds: 1 })[Symbol.asyncIterator]();
  assert.equal((await busy.next()).value?.state, "waiting");
  const measurements = toDocument("Measurements", measured({ kit: { kitDigest, timings: [] } }));
  session.stream.write({ measurement: { commandId, state: "STATE_SUCCEEDED", fraction: 1, measurements } });
  assert.equal((await first).at(-1)?.state, "succeeded");
  const { value } = await following;
  assert.deepEqual(
    [value?.state, value?.message, value?.measurements?.kit?.kitDigest],
    ["succeeded", "measured meanwhile", kitDigest],
  );
  assert.equal((await second.next()).done, true);
  const kept = busy.next();
  const next = await session.next("measure");
  assert.equal(next.items.at(-1)?.kit?.sustainedSeconds, 1, "keeping it busy was not done yet");
  session.stream.write({ measurement: { commandId: next.commandId, state: "STATE_CANCELLED", fraction: 1 } });
  assert.equal((await kept).value?.state, "cancelled");
});

test("a device that nobody enrolled is refused by name", async (t) => {
  const { measurer } = await connect(t);
  const running = Array.fromAsync(measurer.withKit("dev-none", kitDigest, new AbortController().signal));
  await assert.rejects(running, (error) => hasCode(error, "device.unknown"));
});

test("measuring again replaces what was measured and keeps the rest, unless the budget changed", () => {
  const [a, b] = [digestOfBytes("a"), digestOfBytes("b")];
  const profile = syntheticProfile({ deviceId: "d", kit: syntheticKit() });
  const { inventory, budget } = profile;
  const before = { ...profile, measurements: measured({ variants: [timing(a, 1), timing(b, 1)] }) };
  const now = measured({ memoryBandwidthBytesPerSecond: null, variants: [timing(b, 2)] });
  const merged = mergeMeasurements(before, { inventory, budget }, now);
  assert.equal(merged.memoryBandwidthBytesPerSecond?.median, 1e9);
  assert.deepEqual(merged.variants, [timing(a, 1), timing(b, 2)]);
  assert.deepEqual(mergeMeasurements(before, { inventory, budget: { ...budget, threads: 2 } }, now), now);
  assert.deepEqual(mergeMeasurements(null, { inventory, budget }, now), now);
});
