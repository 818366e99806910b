import { EspalierError } from "@espalier/shared/errors";
import { findDeviceByIdOrName } from "../store/devices.ts";
import { recordEvent } from "../store/events.ts";
import type { Store } from "../store/open.ts";
import { giveConsent } from "../store/readmissions.ts";

/**
 * Consents that a device whose certificate has expired gets a new one, once.
 * @throws {EspalierError} `device.unknown`, `device.revoked`: that is for good
 */
export type ReadmitDevice = (idOrName: string, operator: string) => Promise<{ deviceId: string; untilMs: number }>;

const consentMs = 7 * 86_400_000;

export function createReadmitDevice({ store, now }: { store: Store; now: () => number }): ReadmitDevice {
  return async (idOrName, operator) => {
    const device = await findDeviceByIdOrName(store.db, idOrName);
    if (device === null) {
      throw new EspalierError("device.unknown", `no device is called ${idOrName}`, { fields: { device: idOrName } });
    }
    if (device.revokedAtMs !== null) {
      throw new EspalierError("device.revoked", `${device.name} was shut out for good`, {
        fields: { deviceId: device.id },
        remedy: "enroll it as a new device with a token of `espalier token create`",
      });
    }
    const untilMs = now() + consentMs;
    await store.inTransaction(async (transaction) => {
      await giveConsent(transaction, device.id, untilMs);
      const message = `${operator} consents to a new certificate until ${new Date(untilMs).toISOString()}`;
      await recordEvent(transaction, { atMs: now(), deviceId: device.id, kind: "device.readmission-granted", message });
    });
    return { deviceId: device.id, untilMs };
  };
}
