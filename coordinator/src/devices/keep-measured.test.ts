import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createLogger } from "@espalier/shared/logging";
import { syntheticKit, syntheticProfile } from "../predict/testing/synthetic-device.ts";
import { startSmallFleet } from "../rollout/testing/small-fleet.ts";
import { recordHello } from "../store/device-changes.ts";
import { findDevice } from "../store/devices.ts";
import { listProfileHistory, saveProfile } from "../store/profiles.ts";
import { createKeepMeasured } from "./keep-measured.ts";

test("a device whose hardware changed is measured again by itself, once an hour at most", async (t) => {
  const { store } = await startSmallFleet(t, [{ id: "a" }]);
  const profile = syntheticProfile({ deviceId: "a", kit: syntheticKit() });
  await saveProfile(store.db, profile);
  const reasons: (string | undefined)[] = [];
  let nowMs = 0;
  const { promise: measured, resolve } = Promise.withResolvers<void>();
  const keep = createKeepMeasured({
    store,
    measurer: {
      async *withKit(deviceId, _kit, _signal, options) {
        reasons.push(options?.reason);
        resolve();
        yield { deviceId, state: "failed", message: "no", fraction: 1, measurements: null };
      },
    },
    isOnline: () => true,
    now: () => nowMs,
    log: createLogger("test", "silent"),
  });
  const settled = async () => {
    for (let i = 0; i < 50; i++) await turn();
  };
  keep.deviceChanged("a");
  await settled();
  assert.deepEqual(reasons, []);

  const { inventory, budget, enforcement } = profile;
  const hello = { deviceId: "a", budget, enforcement, activeArtifactDigest: null, localApiUrl: "", nowMs };
  await recordHello(store.db, { ...hello, inventory: { ...inventory, logicalCores: 8 } });
  keep.deviceChanged("a");
  await measured;
  await settled();
  keep.deviceChanged("a");
  await settled();
  assert.deepEqual(reasons, ["it had 2 cores, now 8"]);
  nowMs = 3_600_001;
  keep.deviceChanged("a");
  await keep.stop();
  assert.equal((await findDevice(store.db, "a"))?.inventory?.logicalCores, 8);
});

test("a device's history holds the last 50 profiles, newest first", async (t) => {
  const { store } = await startSmallFleet(t, [{ id: "a" }]);
  const profile = syntheticProfile({ deviceId: "a", kit: syntheticKit() });
  for (let version = 1; version <= 52; version++) await saveProfile(store.db, { ...profile, version });
  const versions = (await listProfileHistory(store.db, "a")).map(({ version }) => version);
  assert.deepEqual([versions.length, versions[0], versions.at(-1)], [50, 52, 3]);
});
