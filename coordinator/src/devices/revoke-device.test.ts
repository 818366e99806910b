import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "@espalier/shared/errors";
import { status } from "@grpc/grpc-js";
import { enrollDevice, openSession, startTestEndpoints, testHello } from "../grpc/testing/test-endpoints.ts";
import { listAudit } from "../store/audit.ts";
import { listDevices, listRevokedNatsKeys } from "../store/devices.ts";
import { createRevokeDevice } from "./revoke-device.ts";

test("a revoked device is cut off, shut out of the broker, gone from the fleet, and audited", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const { store, hub } = endpoints;
  const device = await enrollDevice(endpoints, "camera");
  const session = openSession(t, endpoints, device);
  session.stream.write(testHello);
  await session.next("welcome");
  let revokedKeys: Record<string, number> = {};
  const revoke = createRevokeDevice({
    store,
    disconnect: hub.disconnect,
    applyRevocations: async () => {
      revokedKeys = await listRevokedNatsKeys(store.db);
    },
    now: () => 1_500,
  });
  assert.equal(await revoke("camera", "alice"), device.deviceId);
  assert.equal((await session.ended)?.code, status.PERMISSION_DENIED);
  assert.deepEqual(Object.values(revokedKeys), [2]);
  assert.deepEqual(await listDevices(store.db), []);
  const [latest] = await listAudit(store.db, 1);
  assert.deepEqual([latest?.who, latest?.action, latest?.target], ["alice", "revoke-device", device.deviceId]);
  await assert.rejects(revoke("nobody", "alice"), (error) => hasCode(error, "device.unknown"));
});
