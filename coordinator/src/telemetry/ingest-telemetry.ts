import { setTimeout as sleep } from "node:timers/promises";
import { backoffDelayMs, patientBackoff } from "@espalier/shared/backoff";
import type { TelemetrySnapshot } from "@espalier/shared/contracts/telemetry";
import type { Logger } from "@espalier/shared/logging";
import { streams, subjects } from "@espalier/shared/nats-names";
import { type ConsumerMessages, DeliverPolicy, type JsMsg, jetstream } from "@nats-io/jetstream";
import { millis, type NatsConnection } from "@nats-io/transport-node";
import { Counter, Registry } from "prom-client";
import { checkSnapshot } from "./decide/snapshot-problem.ts";
import type { FleetTelemetry } from "./fleet-telemetry.ts";

export interface TelemetryIngest {
  /** How many messages were taken in, and how many were not. */
  readonly registry: Registry;
  /** Resolves when the snapshots that the stream held at the start have been read. */
  readonly rebuilt: Promise<void>;
  stop(): Promise<void>;
}

/** Larger than any honest snapshot; the stream refuses more than this as well. */
const maxBytes = 64 * 1024;

/**
 * Reads every device's last snapshot, then each new one. What can't be understood or is of no enrolled device is
 * counted and dropped.
 * @param parts.classOf null for a device that is not enrolled
 */
export function startTelemetryIngest(parts: {
  connection: NatsConnection;
  telemetry: FleetTelemetry;
  classOf: (deviceId: string) => Promise<string | null>;
  /** Told of each that was taken in. */
  onSnapshot: (snapshot: TelemetrySnapshot) => void;
  log: Logger;
}): TelemetryIngest {
  const { connection, telemetry, classOf, onSnapshot, log } = parts;
  const registry = new Registry();
  const taken = new Counter({
    name: "espalier_telemetry_snapshots_total",
    help: "Telemetry messages of devices, by what became of them.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  for (const outcome of ["accepted", "invalid", "unknown_device"]) taken.inc({ outcome }, 0);
  const ending = new AbortController();
  const { promise: rebuilt, resolve: onRebuilt } = Promise.withResolvers<void>();
  let messages: ConsumerMessages | null = null;
  const prefix = subjects.telemetry("");

  async function take(message: JsMsg): Promise<void> {
    const deviceId = message.subject.slice(prefix.length);
    const deviceClass = await classOf(deviceId);
    if (deviceClass === null) {
      taken.inc({ outcome: "unknown_device" });
      return;
    }
    const checked = checkSnapshot(readJson(message), deviceId);
    if (!checked.ok) {
      taken.inc({ outcome: "invalid" });
      log.warn({ deviceId, problem: checked.problem }, "a telemetry snapshot is dropped");
      return;
    }
    taken.inc({ outcome: "accepted" });
    telemetry.apply(checked.snapshot, deviceClass, millis(message.info.timestampNanos));
    onSnapshot(checked.snapshot);
  }

  async function read(): Promise<void> {
    for (let attempt = 1; !ending.signal.aborted; attempt++) {
      try {
        const consumer = await jetstream(connection).consumers.get(streams.telemetry, {
          deliver_policy: DeliverPolicy.LastPerSubject,
          filter_subjects: [subjects.allTelemetry],
        });
        if ((await consumer.info()).num_pending === 0) onRebuilt();
        messages = await consumer.consume();
        attempt = 0;
        for await (const message of messages) {
          await take(message);
          if (message.info.pending === 0) onRebuilt();
        }
      } catch (error) {
        if (ending.signal.aborted) return;
        log.warn({ err: error }, "reading telemetry was interrupted");
      }
      await sleep(backoffDelayMs(patientBackoff, Math.max(1, attempt), Math.random()), undefined, {
        signal: ending.signal,
      }).catch(() => {});
    }
  }

  const reading = read();
  return {
    registry,
    rebuilt,
    async stop() {
      ending.abort();
      await messages?.close();
      await reading;
    },
  };
}

function readJson(message: JsMsg): unknown {
  if (message.data.length > maxBytes) return undefined;
  try {
    return message.json();
  } catch {
    return undefined;
  }
}
