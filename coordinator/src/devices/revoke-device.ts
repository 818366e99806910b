import { EspalierError } from "@espalier/shared/errors";
import { revokeDevice } from "../store/device-changes.ts";
import { findDeviceByIdOrName } from "../store/devices.ts";
import { recordEvent } from "../store/events.ts";
import type { Store } from "../store/open.ts";

/**
 * Shuts a device out for good; repeatable.
 * @returns the device's id
 * @throws {EspalierError} `device.unknown`
 */
export type RevokeDevice = (idOrName: string, operator: string) => Promise<string>;

export function createRevokeDevice(parts: {
  store: Store;
  /** Cuts the device's session. */
  disconnect: (deviceId: string) => void;
  /** Shuts revoked devices out of the broker; null where the account is not ours: its owner revokes the key. */
  applyRevocations: (() => Promise<void>) | null;
  /** Forgets what is remembered of the device, e.g. its metric series. */
  onRevoked: (deviceId: string) => void;
  now: () => number;
}): RevokeDevice {
  const { store, disconnect, applyRevocations, onRevoked, now } = parts;
  return async (idOrName, operator) => {
    const device = await findDeviceByIdOrName(store.db, idOrName);
    if (device === null) {
      throw new EspalierError("device.unknown", `no device is called ${idOrName}`, { fields: { device: idOrName } });
    }
    // The decision first: a kill after it leaves a device that every later connection refuses.
    await store.inTransaction(async (transaction) => {
      await revokeDevice(transaction, device.id, now());
      await recordEvent(transaction, {
        atMs: now(),
        deviceId: device.id,
        kind: "device.revoked",
        message: `revoked by ${operator}`,
      });
    });
    disconnect(device.id);
    onRevoked(device.id);
    await applyRevocations?.();
    return device.id;
  };
}
