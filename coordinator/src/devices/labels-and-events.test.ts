import assert from "node:assert/strict";
import { test } from "node:test";
import { startSmallFleet } from "../rollout/testing/small-fleet.ts";
import { findDeviceByIdOrName } from "../store/devices.ts";
import { eventMethods } from "./event-methods.ts";
import { deviceMethods } from "./operator-methods.ts";

const call = () => ({ operator: "ada", role: "operator" as const, signal: new AbortController().signal });
const noEvents = { device: "", rollout: "", sinceMs: 0, limit: 0 };

test("an operator labels a device, takes labels away, and that is an event of the device", async (t) => {
  const { store, builds } = await startSmallFleet(t, [{ id: "pi", labels: { tier: "small", site: "lab" } }]);
  const unused = () => {
    throw new Error("labels need no measuring and no revoking");
  };
  const devices = deviceMethods({
    store,
    builds,
    isOnline: () => true,
    measurer: { withKit: unused, withVariant: unused },
    revoke: unused,
    readmit: unused,
    decommission: unused,
    now: () => 7,
  });
  const { labels } = await devices.labelDevice(
    { device: "pi", set: { site: "hall", floor: "2" }, remove: ["tier"] },
    call(),
  );
  assert.deepEqual(labels, { site: "hall", floor: "2" });
  assert.deepEqual((await findDeviceByIdOrName(store.db, "pi"))?.labels, labels);
  await assert.rejects(devices.labelDevice({ device: "pi", set: { "no spaces": "x" }, remove: [] }, call()), {
    code: "label.malformed",
  });
  await assert.rejects(devices.labelDevice({ device: "none", set: {}, remove: [] }, call()), {
    code: "device.unknown",
  });
  const { events = [] } = await eventMethods({ store }).listEvents({ ...noEvents, device: "pi" }, call());
  assert.deepEqual(
    events.map(({ atMs, deviceName, kind, message }) => [atMs, deviceName, kind, message]),
    [[7, "pi", "device.labelled", "labelled by ada"]],
  );
});

test("events are those of one device or one rollout, of a time, and what is unknown is said", async (t) => {
  const { store, startEngine, play } = await startSmallFleet(t, [{ id: "pi" }, { id: "box" }]);
  await startEngine().start({ name: "first", model: "model" });
  await play();
  const { listEvents } = eventMethods({ store });
  const { events: ofPi = [] } = await listEvents({ ...noEvents, device: "pi" }, call());
  assert.ok(ofPi.length > 0 && ofPi.every(({ deviceName }) => deviceName === "pi"));
  const { events: ofRollout = [] } = await listEvents({ ...noEvents, rollout: "first" }, call());
  const kinds = new Set(ofRollout.map(({ kind }) => kind));
  for (const kind of ["rollout.planning", "rollout.gate", "device.active", "rollout.complete"]) {
    assert.ok(kinds.has(kind), kind);
  }
  assert.deepEqual((await listEvents({ ...noEvents, sinceMs: Number.MAX_SAFE_INTEGER }, call())).events, []);
  assert.equal((await listEvents({ ...noEvents, limit: 1 }, call())).events?.length, 1);
  await assert.rejects(listEvents({ ...noEvents, device: "none" }, call()), { code: "device.unknown" });
  await assert.rejects(listEvents({ ...noEvents, rollout: "none" }, call()), { code: "rollout.unknown" });
});
