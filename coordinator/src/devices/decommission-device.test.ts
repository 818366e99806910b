import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "@espalier/shared/logging";
import { streams, subjects } from "@espalier/shared/nats-names";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { openBlobStore } from "../blobs/blob-store.ts";
import { enrollDevice, startTestEndpoints } from "../grpc/testing/test-endpoints.ts";
import { guardAssignments } from "../nats/guard-assignments.ts";
import { createProjection } from "../nats/projection.ts";
import { startTestBroker } from "../nats/testing/test-broker.ts";
import { ensureTopology } from "../nats/topology.ts";
import { assignDevice, findAssignment } from "../store/assignments.ts";
import { findDeviceByIdOrName } from "../store/devices.ts";
import { listEvents } from "../store/events.ts";
import { createDecommissionDevice } from "./decommission-device.ts";
import { createRevokeDevice } from "./revoke-device.ts";

test("a decommissioned device leaves no assignment, no telemetry and no name behind, and its story stays", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { store } = endpoints;
  const { connection, folder } = await startTestBroker(t);
  const topology = await ensureTopology(connection);
  const blobs = await openBlobStore(folder);
  const projection = createProjection({ topology: () => topology, client: jetstream(connection), blobs });
  const { deviceId } = await enrollDevice(endpoints, "kiosk");
  const assignment = await store.inTransaction((transaction) =>
    assignDevice(transaction, { deviceId, variant: null, rolloutId: null, nowMs: 1 }),
  );
  await projection.putAssignment(assignment);
  await jetstream(connection).publish(subjects.telemetry(deviceId), "{}");

  const repairs: string[] = [];
  const log = createLogger("test", "silent");
  const guard = guardAssignments({ connection, store, repair: () => repairs.push("repair"), log });
  t.after(() => guard.stop());
  const forgotten: string[] = [];
  const revoke = createRevokeDevice({
    store,
    disconnect: endpoints.hub.disconnect,
    applyRevocations: null,
    onRevoked: (id) => forgotten.push(id),
    now: () => 2,
  });
  const parts = { store, revoke, clearBroker: projection.clearDevice, now: () => 2 };
  const decommission = createDecommissionDevice(parts);
  assert.equal(await decommission("kiosk", "alice"), deviceId);
  assert.equal(await decommission(deviceId, "alice"), deviceId, "again it changes nothing");

  assert.equal(await findAssignment(store.db, deviceId), null);
  assert.equal(await topology.assignments.get(deviceId).then((entry) => entry?.string() ?? ""), "");
  const manager = await jetstreamManager(connection);
  const { state } = await manager.streams.info(streams.telemetry, { subjects_filter: subjects.telemetry(deviceId) });
  assert.deepEqual(state.subjects ?? {}, {});
  assert.equal(forgotten[0], deviceId);
  assert.equal(await findDeviceByIdOrName(store.db, "kiosk"), null);
  assert.notEqual((await enrollDevice(endpoints, "kiosk")).deviceId, deviceId, "the name is free again");
  const kinds = (await listEvents(store.db, { deviceId, limit: 10 })).map(({ kind }) => kind);
  assert.ok(kinds.includes("device.decommissioned") && kinds.includes("device.enrolled"));
  await connection.flush();
  assert.deepEqual(repairs, [], "taking it away is nobody else's writing");
});
