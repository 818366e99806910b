import { deviceClass } from "../plan/decide/device-class.ts";
import { findDevice } from "../store/devices.ts";
import type { Store } from "../store/open.ts";

/** Devices' classes, remembered until the device changes: telemetry asks every few seconds. */
export interface DeviceClasses {
  /** Null for a device that is not enrolled or was revoked; `unknown` before its first Hello. */
  classOf(deviceId: string): Promise<string | null>;
  /** Its inventory or budget may be another now. */
  deviceChanged(deviceId: string): void;
}

export function createDeviceClasses({ store }: { store: Store }): DeviceClasses {
  const known = new Map<string, string>();
  return {
    async classOf(deviceId) {
      const remembered = known.get(deviceId);
      if (remembered !== undefined) return remembered;
      const device = await findDevice(store.db, deviceId);
      if (device === null || device.revokedAtMs !== null) return null;
      const { inventory, budget } = device;
      if (inventory === null || budget === null) return "unknown";
      const found = deviceClass({ inventory, budget });
      known.set(deviceId, found);
      return found;
    },
    deviceChanged: (deviceId) => known.delete(deviceId),
  };
}
