import { EspalierError } from "@espalier/shared/errors";
import type { EventMethods } from "../grpc/operator.ts";
import { findDeviceByIdOrName, listDevices } from "../store/devices.ts";
import { listEvents } from "../store/events.ts";
import type { Store } from "../store/open.ts";
import { findRollout } from "../store/rollouts.ts";

const defaultLimit = 100;
const maxLimit = 10_000;

/** What happened to devices and in rollouts. */
export function eventMethods({ store }: { store: Store }): EventMethods {
  return {
    async listEvents({ device, rollout, sinceMs, limit }) {
      const events = await listEvents(store.db, {
        ...(device === "" ? {} : { deviceId: await deviceId(device) }),
        ...(rollout === "" ? {} : { rolloutId: await rolloutId(rollout) }),
        sinceMs,
        limit: Math.min(limit || defaultLimit, maxLimit),
      });
      const names = new Map((await listDevices(store.db)).map(({ id, name }) => [id, name]));
      return {
        events: events.map(({ id, atMs, kind, message, data, ...about }) => ({
          id,
          atMs,
          kind,
          message,
          deviceId: about.deviceId ?? "",
          deviceName: names.get(about.deviceId ?? "") ?? "",
          rolloutId: about.rolloutId ?? "",
          dataJson: JSON.stringify(data),
        })),
      };
    },
  };

  async function deviceId(idOrName: string): Promise<string> {
    const found = await findDeviceByIdOrName(store.db, idOrName);
    if (found !== null) return found.id;
    throw new EspalierError("device.unknown", `no device is called ${idOrName}`, {
      fields: { device: idOrName },
      remedy: "see `espalier device list`",
    });
  }

  async function rolloutId(idOrName: string): Promise<string> {
    const found = await findRollout(store.db, idOrName);
    if (found !== null) return found.rolloutId;
    throw new EspalierError("rollout.unknown", `there is no rollout ${idOrName}`, {
      fields: { rollout: idOrName },
      remedy: "see `espalier rollout list`",
    });
  }
}
