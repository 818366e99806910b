import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "@espalier/shared/logging";
import { startSmallFleet } from "../rollout/testing/small-fleet.ts";
import { listEvents } from "../store/events.ts";
import { writeDevice } from "../telemetry/device-exposition.ts";
import { snapshotOf } from "../telemetry/testing/snapshots.ts";
import { createMachineNews } from "./tell-machine-news.ts";

const hot = { powerSource: "battery", thermalCelsius: 95, throttled: true, throttles: 7 } as const;

test("a device that runs hot on battery has events that say so, each once", async (t) => {
  const { store } = await startSmallFleet(t, [{ id: "pi", labels: {} }]);
  const tell = createMachineNews({ store, now: () => 5, log: createLogger("test", "silent") });
  await tell({ deviceId: "pi", machine: null });
  for (let i = 0; i < 3; i += 1) await tell({ deviceId: "pi", machine: hot });
  const kinds = (await listEvents(store.db, { deviceId: "pi", limit: 50 })).map(({ kind }) => kind);
  const told = kinds.filter((kind) => ["device.on-battery", "device.throttled"].includes(kind));
  assert.deepEqual(told.sort(), ["device.on-battery", "device.throttled"]);
});

test("a device's metrics have what its machine tells, and nothing where it can't be told", () => {
  const text = (machine: Parameters<typeof snapshotOf>[2]) =>
    writeDevice({ snapshot: snapshotOf("pi", [0.01], machine), deviceClass: "small", receivedAtMs: 0 });
  const told = text({ machine: hot });
  assert.match(told, /^espalier_device_temperature_celsius 95$/m);
  assert.match(told, /^espalier_device_on_battery 1$/m);
  assert.match(told, /^espalier_device_throttled 1$/m);
  assert.match(told, /^espalier_device_throttles 7$/m);
  const silent = { powerSource: "unknown", thermalCelsius: null, throttled: null, throttles: null } as const;
  for (const machine of [null, silent]) assert.doesNotMatch(text({ machine }), /celsius|battery|throttle/);
});
