import { clearDevice } from "../store/device-changes.ts";
import { recordEvent } from "../store/events.ts";
import type { Store } from "../store/open.ts";
import type { RevokeDevice } from "./revoke-device.ts";

/**
 * Ends a device's life in the fleet: it is revoked, and its assignment, measurements and name are given up. Its events
 * and what it served stay counted. Repeatable.
 * @returns the device's id
 * @throws {EspalierError} `device.unknown`
 */
export type DecommissionDevice = RevokeDevice;

export function createDecommissionDevice(parts: {
  store: Store;
  revoke: RevokeDevice;
  /** Takes the device's assignment and telemetry off the broker. */
  clearBroker: (deviceId: string) => Promise<void>;
  now: () => number;
}): DecommissionDevice {
  const { store, revoke, clearBroker, now } = parts;
  return async (idOrName, operator) => {
    const deviceId = await revoke(idOrName, operator);
    await store.inTransaction(async (transaction) => {
      await clearDevice(transaction, deviceId);
      const message = `decommissioned by ${operator}`;
      await recordEvent(transaction, { atMs: now(), deviceId, kind: "device.decommissioned", message });
    });
    await clearBroker(deviceId);
    return deviceId;
  };
}
