import { setTimeout } from "node:timers/promises";
import { messageOf } from "@espalier/shared/errors";
import { subjects } from "@espalier/shared/nats-names";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Telemetry } from "./telemetry.ts";

export interface PublisherDeps {
  readonly connection: NatsConnection;
  readonly telemetry: Telemetry;
  readonly deviceId: string;
  readonly intervalMs: number;
  readonly log: { debug(fields: object, message: string): void };
}

export interface Publisher {
  run(signal: AbortSignal): Promise<void>;
  now(): void;
}

/**
 * Publishes the latest snapshot every interval and on demand. Snapshots are cumulative, so one that is lost while the
 * broker is away is made up for by the next; none is queued.
 */
export function createPublisher({ connection, telemetry, deviceId, intervalMs, log }: PublisherDeps): Publisher {
  let connected = true;
  void (async () => {
    for await (const { type } of connection.status()) {
      if (type === "disconnect") connected = false;
      else if (type === "reconnect") connected = true;
    }
  })();
  const now = (): void => {
    if (!connected || connection.isClosed()) return;
    try {
      connection.publish(subjects.telemetry(deviceId), JSON.stringify(telemetry.snapshot()));
    } catch (error) {
      log.debug({ error: messageOf(error) }, "telemetry not published");
    }
  };
  return {
    now,
    async run(signal) {
      while (!signal.aborted) {
        await telemetry.look();
        now();
        await setTimeout(intervalMs, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}
