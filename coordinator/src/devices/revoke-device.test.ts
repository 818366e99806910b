import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "@espalier/shared/errors";
import { status } from "@grpc/grpc-js";
import { enrollDevice, openSession, startTestEndpoints, testHello } from "../grpc/testing/test-endpoints.ts";
import { listDevices, listRevokedNatsKeys } from "../store/devices.ts";
import { listEvents } from "../store/events.ts";
import { createRevokeDevice } from "./revoke-device.ts";

test("a revoked device is cut off, shut out of the broker, and gone from the fleet", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { store, hub } = endpoints;
  const device = await enrollDevice(endpoints, "camera");
  const session = openSession(t, endpoints, device);
  session.stream.write(testHello);
  await session.next("welcome");
  const forgotten: string[] = [];
  let revokedKeys: Record<string, number> = {};
  const revoke = createRevokeDevice({
    store,
    disconnect: hub.disconnect,
    applyRevocations: async () => {
      revokedKeys = await listRevokedNatsKeys(store.db);
    },
    onRevoked: (deviceId) => forgotten.push(deviceId),
    now: () => 1_500,
  });
  assert.equal(await revoke("camera", "alice"), device.deviceId);
  assert.equal((await session.ended)?.code, status.PERMISSION_DENIED);
  assert.deepEqual(forgotten, [device.deviceId]);
  assert.deepEqual(Object.values(revokedKeys), [2]);
  assert.deepEqual(await listDevices(store.db), []);
  const events = await listEvents(store.db, { deviceId: device.deviceId, limit: 10 });
  assert.equal(events.find(({ kind }) => kind === "device.revoked")?.message, "revoked by alice");
  await assert.rejects(revoke("nobody", "alice"), (error) => hasCode(error, "device.unknown"));
});
