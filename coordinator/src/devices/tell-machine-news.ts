import type { TelemetrySnapshot } from "@espalier/shared/contracts/telemetry";
import { messageOf } from "@espalier/shared/errors";
import type { Logger } from "@espalier/shared/logging";
import { recordEvent } from "../store/events.ts";
import type { Store } from "../store/open.ts";
import { type KnownMachine, machineNews } from "./decide/machine-news.ts";

/**
 * Records what devices' machines go through as events; the result is told of each snapshot that was taken in and never
 * rejects. What is bad when the coordinator starts is recorded again.
 */
export function createMachineNews(parts: {
  store: Store;
  now: () => number;
  log: Logger;
}): (snapshot: Pick<TelemetrySnapshot, "deviceId" | "machine">) => Promise<void> {
  const { store, now, log } = parts;
  const machines = new Map<string, KnownMachine>();
  return async ({ deviceId, machine }) => {
    if (machine === null) return;
    const atMs = now();
    const { known, news } = machineNews(machines.get(deviceId) ?? null, machine, atMs);
    machines.set(deviceId, known);
    for (const { kind, message } of news)
      await recordEvent(store.db, { atMs, deviceId, kind, message, data: { machine } }).catch((error: unknown) =>
        log.warn({ deviceId, kind, error: messageOf(error) }, "an event could not be recorded"),
      );
  };
}
