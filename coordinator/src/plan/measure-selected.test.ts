import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import { syntheticKit, syntheticProfile } from "../predict/testing/synthetic-device.ts";
import { startSmallFleet } from "../rollout/testing/small-fleet.ts";
import { recordHello } from "../store/device-changes.ts";
import { saveProfile } from "../store/profiles.ts";
import { measureSelected } from "./measure-selected.ts";

test("a device that was measured with another model's kit since is not measured again for this one", async (t) => {
  const { store } = await startSmallFleet(t, [{ id: "a" }]);
  const kit = syntheticKit();
  const digest = digestOfJson(kit);
  const profile = syntheticProfile({ deviceId: "a", kit });
  const { inventory, budget, enforcement } = profile;
  const hello = { deviceId: "a", inventory, enforcement, activeArtifactDigest: null, localApiUrl: "", nowMs: 1 };
  await recordHello(store.db, { ...hello, budget });
  await saveProfile(store.db, profile);
  const other = { kitDigest: digestOfJson("another kit"), timings: [] };
  await saveProfile(store.db, { ...profile, version: 2, measurements: { ...profile.measurements, kit: other } });

  const measured: string[] = [];
  const parts = {
    store,
    isOnline: () => true,
    now: () => 1,
    measurer: {
      async *withKit(deviceId: string, kitDigest: string) {
        measured.push(kitDigest);
        yield { deviceId, state: "succeeded", message: "", fraction: 1, measurements: null } as const;
      },
    },
  };
  const kits = { digest, modelDigest: kit.modelDigest, formatsKey: "", createdAtMs: 1 };
  const request = { spec: { selector: "" }, kit: kits, signal: AbortSignal.timeout(60_000), tell: () => undefined };
  await measureSelected(parts, request);
  assert.deepEqual(measured, []);

  await recordHello(store.db, { ...hello, budget: { ...budget, threads: 2 } });
  await measureSelected(parts, request);
  assert.deepEqual(measured, [digest], "but under another budget it is");
});
