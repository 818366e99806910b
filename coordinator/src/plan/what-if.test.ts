import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import { toDocument } from "@espalier/shared/grpc";
import { syntheticKit, syntheticProfile } from "../predict/testing/synthetic-device.ts";
import { startSmallFleet } from "../rollout/testing/small-fleet.ts";
import { referenceMethods } from "./reference-methods.ts";
import { hypotheticalDevices } from "./what-if.ts";

const graphs = syntheticKit();
const kit = { stored: { digest: digestOfJson(graphs) }, graphs };
const call = () => ({ operator: "ada", role: "operator" as const, signal: new AbortController().signal });
const document = (profile: ReturnType<typeof syntheticProfile>) => toDocument("DeviceProfile", profile) as never;

test("a plan counts in devices of the library and imported profiles, of which the import goes first", async (t) => {
  const { store } = await startSmallFleet(t, []);
  const methods = referenceMethods({ store, now: () => 5 });
  const estimated = await hypotheticalDevices(store.db, [{ reference: "rpi5", count: 2 }], kit);
  assert.deepEqual(
    estimated.map(({ name, labels }) => [name, labels]),
    [
      ["rpi5 1 of 2 (what if, estimated)", { reference: "rpi5" }],
      ["rpi5 2 of 2 (what if, estimated)", { reference: "rpi5" }],
    ],
  );

  const mine = syntheticProfile({ deviceId: "mine", kit: graphs });
  await methods.importReference({ name: "rpi5", profile: document(mine) }, call());
  const [measured] = await hypotheticalDevices(store.db, [{ reference: "rpi5", count: 1 }], kit);
  assert.equal(measured?.name, "rpi5 1 of 1 (what if, measured)");
  assert.deepEqual(measured?.profile?.measurements, mine.measurements);
  const { references = [] } = await methods.listReferences({}, call());
  assert.deepEqual([references[0]?.name, references[0]?.measured], ["rpi5", true]);
  assert.equal(references.filter(({ name }) => name === "rpi5").length, 1);
});

test("an unknown name, an unreasonable count and another model's kit are refused", async (t) => {
  const { store } = await startSmallFleet(t, []);
  const methods = referenceMethods({ store, now: () => 5 });
  const asked = (reference: string, count: number) => hypotheticalDevices(store.db, [{ reference, count }], kit);
  await assert.rejects(asked("toaster", 1), { code: "what-if.malformed" });
  await assert.rejects(asked("rpi5", 0), { code: "what-if.malformed" });
  await assert.rejects(asked("rpi5", 1e6), { code: "what-if.malformed" });
  const other = syntheticProfile({ deviceId: "other", kit: graphs, kitDigest: digestOfJson("another kit") });
  await methods.importReference({ name: "kiosk", profile: document(other) }, call());
  await assert.rejects(asked("kiosk", 1), { code: "what-if.malformed" });
  await assert.rejects(methods.importReference({ name: "Not a name", profile: document(other) }, call()), {
    code: "reference.malformed",
  });
});
