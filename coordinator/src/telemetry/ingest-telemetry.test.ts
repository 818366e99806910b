import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "@espalier/shared/logging";
import { subjects } from "@espalier/shared/nats-names";
import { startTestBroker } from "../nats/testing/test-broker.ts";
import { ensureTopology } from "../nats/topology.ts";
import { FleetTelemetry } from "./fleet-telemetry.ts";
import { startTelemetryIngest } from "./ingest-telemetry.ts";
import { snapshotOf } from "./testing/snapshots.ts";

const log = createLogger("test", "silent");

test("telemetry is rebuilt from the stream, goes on from there, and drops what nobody may say", async (t) => {
  const { connection } = await startTestBroker(t);
  await ensureTopology(connection);
  const publish = (deviceId: string, message: unknown) =>
    connection.request(subjects.telemetry(deviceId), typeof message === "string" ? message : JSON.stringify(message));
  for (const count of [1, 2]) await publish("a", snapshotOf("a", new Array<number>(count).fill(0.01)));
  await publish("stranger", snapshotOf("stranger", [0.01]));

  const telemetry = new FleetTelemetry({ staleAfterMs: 45_000 });
  const classOf = async (deviceId: string) => (deviceId === "stranger" ? null : "small");
  const ingest = startTelemetryIngest({ connection, telemetry, classOf, onSnapshot: () => {}, log });
  t.after(() => ingest.stop());
  await ingest.rebuilt;
  assert.equal(telemetry.groups(Date.now())[0]?.counters.requests.succeeded, 2);
  assert.equal(telemetry.device("stranger"), undefined);

  await publish("b", "{");
  await publish("b", snapshotOf("a", [0.01]));
  await publish("a", snapshotOf("a", [0.01, 0.01, 0.01]));
  while (telemetry.groups(Date.now())[0]?.counters.requests.succeeded !== 3) await sleep(5);
  const counts = await ingest.registry.getSingleMetricAsString("espalier_telemetry_snapshots_total");
  assert.match(counts, /outcome="accepted"\} 2\n/);
  assert.match(counts, /outcome="invalid"\} 2\n/);
  assert.match(counts, /outcome="unknown_device"\} 1/);
});
