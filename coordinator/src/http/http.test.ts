import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createLogger } from "@espalier/shared/logging";
import { promtoolBinary } from "@espalier/shared/testing/binaries";
import { Counter, Registry } from "prom-client";
import { syntheticKit, syntheticProfile } from "../predict/testing/synthetic-device.ts";
import { startSmallFleet } from "../rollout/testing/small-fleet.ts";
import { insertDevice, recordHello } from "../store/device-changes.ts";
import { openSqliteStore, type Store } from "../store/open.ts";
import { createDeviceClasses } from "../telemetry/device-classes.ts";
import { FleetTelemetry } from "../telemetry/fleet-telemetry.ts";
import { snapshotOf } from "../telemetry/testing/snapshots.ts";
import { createRoutes } from "./routes.ts";
import { startHttpServer } from "./server.ts";

const log = createLogger("test", "silent");

async function serve(t: TestContext, store: Store) {
  const telemetry = new FleetTelemetry({ staleAfterMs: 45_000 });
  const clock = { nowMs: 1000 };
  const problems: string[] = [];
  const registry = new Registry();
  new Counter({ name: "espalier_telemetry_snapshots_total", help: "h", registers: [registry] });
  let url = "";
  const handle = createRoutes({
    store,
    telemetry,
    classes: createDeviceClasses({ store }),
    registry,
    isOnline: (deviceId) => deviceId !== "away",
    problems: async () => problems,
    queryRange: null,
    target: () => new URL(url).host,
    now: () => clock.nowMs,
  });
  const server = await startHttpServer({ host: "127.0.0.1", port: 0, handle, log });
  url = server.url;
  t.after(() => server.stop());
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${url}${path}`, init);
    return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
  };
  return { telemetry, clock, problems, url, get };
}

async function openTestStore(t: TestContext, deviceIds: readonly string[]): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-http-"));
  const store = await openSqliteStore(join(folder, "coordinator.db"));
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  for (const id of deviceIds) {
    const { inventory, budget, enforcement } = syntheticProfile({ deviceId: id, kit: syntheticKit() });
    await store.inTransaction((transaction) =>
      insertDevice(transaction, {
        id,
        wantedName: `<${id}>`,
        labels: { site: id },
        certificateSerial: "1",
        natsPublicKey: "U",
        createdAtMs: 1,
      }),
    );
    await recordHello(store.db, {
      deviceId: id,
      inventory,
      budget,
      enforcement,
      activeArtifactDigest: null,
      localApiUrl: "",
      nowMs: 1,
    });
  }
  return store;
}

/** promtool's own words; empty when it has nothing to say. */
function lint(promtool: string, text: string): string {
  const result = spawnSync(promtool, ["check", "metrics"], { input: text, encoding: "utf8" });
  return `${result.error?.message ?? ""}${result.stdout}${result.stderr}`;
}

test("the fleet's metrics after a rollout are clean by promtool and carry what was served", async (t) => {
  const { store, startEngine, play } = await startSmallFleet(t, [{ id: "big" }, { id: "away", memoryMiB: 330 }]);
  await startEngine().start({ name: "first", model: "model" });
  assert.equal((await play()).phase, "complete");
  const { telemetry, get } = await serve(t, store);
  telemetry.apply(snapshotOf("big", [0.02, 0.03]), "class-a", 1000);
  telemetry.apply(snapshotOf("away", [0.02], { variant: null, probe: null }), 'class "b"\\', 1000);
  const { status, type, text } = await get("/metrics");
  assert.equal(status, 200);
  assert.match(type ?? "", /^text\/plain; version=0\.0\.4/);
  for (const line of [
    'espalier_time_per_output_token_seconds_bucket{device_class="class-a",variant="dense-q8b128",le="0.025"} 1',
    'espalier_time_per_output_token_seconds_count{device_class="class-a",variant="dense-q8b128"} 2',
    'espalier_requests_total{device_class="class-a",variant="dense-q8b128",outcome="succeeded"} 2',
    'espalier_probe_agreement_ratio{device_class="class-a",variant="dense-q8b128",reference="dense"} 0.9',
    'espalier_peak_memory_bytes{device_class="class-a",variant="dense-q8b128"} 2000',
    'espalier_devices{state="active"} 1',
    'espalier_devices{state="offline"} 1',
    'espalier_rollout_phase{rollout="first",rollout_id="rollout-1",phase="complete"} 1',
    // Both devices' variants, and one to step down to.
    'espalier_build_jobs{kind="build",state="succeeded"} 3',
    'variant="none",outcome="succeeded"} 1',
  ])
    assert.ok(text.includes(line), `${line} is missing`);
  assert.match(
    text,
    /espalier_predicted_time_per_output_token_seconds\{device_class="test-2c-1t",variant="dense-q8b128"\} 0\.0\d+/,
  );
  const promtool = promtoolBinary();
  if (promtool === null) t.diagnostic("skipped promtool: the bootstrap has not found one");
  else {
    assert.equal(lint(promtool, text), "");
    assert.equal(lint(promtool, (await get("/devices/big/metrics")).text), "");
  }
});

test("a single device answers while it reports, then 503, and 404 when nobody knows it", async (t) => {
  const store = await openTestStore(t, ["here"]);
  const { telemetry, clock, get } = await serve(t, store);
  assert.equal((await get("/devices/here/metrics")).status, 503);
  telemetry.apply(snapshotOf("here", [0.02]), "class", 1000);
  const { status, text } = await get("/devices/here/metrics");
  assert.equal(status, 200);
  assert.match(text, /espalier_device_time_per_output_token_seconds_count\{variant="dense-q8b128"\} 1/);
  clock.nowMs = 47_000;
  const stale = await get("/devices/here/metrics");
  assert.deepEqual([stale.status, stale.text], [503, "the device last reported 46 s ago\n"]);
  for (const path of ["/devices/nobody/metrics", "/devices/..%2f/metrics", "/nothing", "/constructor"]) {
    assert.equal((await get(path)).status, 404, path);
  }
});

test("service discovery names each device's path, narrowed by a selector", async (t) => {
  const { get, url } = await serve(t, await openTestStore(t, ["one", "two"]));
  const all = JSON.parse((await get("/sd")).text) as { targets: string[]; labels: Record<string, string> }[];
  assert.deepEqual(
    all.map(({ labels }) => labels["__metrics_path__"]),
    ["/devices/one/metrics", "/devices/two/metrics"],
  );
  assert.deepEqual(all[0], {
    targets: [new URL(url).host],
    labels: {
      __metrics_path__: "/devices/one/metrics",
      instance: "<one>",
      device_id: "one",
      device_class: "test-2c-1t",
    },
  });
  assert.equal(JSON.parse((await get("/sd?selector=site%3Dtwo")).text).length, 1);
  assert.equal((await get("/sd?selector=%3D%3D")).status, 400);
});

test("it says that it lives, and what keeps it from working", async (t) => {
  const { get, problems } = await serve(t, await openTestStore(t, []));
  assert.equal((await get("/healthz")).status, 200);
  assert.equal((await get("/readyz")).status, 200);
  problems.push("the broker is away");
  const { status, text } = await get("/readyz");
  assert.deepEqual([status, text], [503, "the broker is away\n"]);
});

test("the console lists devices and escapes what they call themselves", async (t) => {
  const { get } = await serve(t, await openTestStore(t, ["one"]));
  const { text } = await get("/");
  assert.match(text, /<td>&#60;one&#62;<\/td>/);
  assert.doesNotMatch(text, /<one>/);
});

test("bodies, other methods and oversize headers are refused, and the server stays up", async (t) => {
  const { get, url } = await serve(t, await openTestStore(t, []));
  assert.equal((await get("/metrics", { method: "POST", body: "x" })).status, 405);
  assert.equal((await get("/metrics", { headers: { "x-large": "a".repeat(9000) } })).status, 431);
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write("GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
  const [answer] = await new Promise<unknown[]>((resolve) => socket.once("data", (data) => resolve([data])));
  assert.match(String(answer), /^HTTP\/1\.1 413 /);
  socket.destroy();
  assert.equal((await get("/healthz")).status, 200);
});
