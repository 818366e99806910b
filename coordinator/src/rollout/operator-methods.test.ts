import assert from "node:assert/strict";
import { test } from "node:test";
import { Plan } from "@espalier/shared/contracts/plan";
import { RolloutState } from "@espalier/shared/contracts/rollout-state";
import type { RolloutResponse } from "@espalier/shared/generated/espalier/v1/RolloutResponse";
import { variantMethods } from "../builds/operator-methods.ts";
import { planMethods } from "../plan/operator-methods.ts";
import { listProfiles, saveProfile } from "../store/profiles.ts";
import { rolloutMethods } from "./operator-methods.ts";
import { startSmallFleet } from "./testing/small-fleet.ts";

const fleet = [{ id: "big" }, { id: "small", memoryMiB: 330 }];
const call = () => ({ operator: "ada", role: "operator" as const, signal: new AbortController().signal });
const document = (value: unknown) => ({ contract: "RolloutSpec", json: JSON.stringify(value) });
const stateOf = ({ state }: RolloutResponse) => RolloutState.parse(JSON.parse(state?.json ?? ""));

test("an operator starts a rollout, watches every change to its end, and finds its variants", async (t) => {
  const parts = await startSmallFleet(t, fleet);
  const { store, blobs, startEngine, planner, play } = parts;
  const methods = rolloutMethods({ store, engine: startEngine(), planner, isOnline: () => true, now: () => 1 });
  const started = stateOf(
    await methods.startRollout(
      { spec: document({ name: "first", model: "model" }), dryRun: false, checkIndex: "" },
      call(),
    ),
  );
  const phases: string[] = [];
  const watching = (async () => {
    for await (const response of methods.watchRollout({ rollout: "first" }, call()))
      phases.push(stateOf(response).phase);
  })();
  await play();
  await watching;
  assert.equal(phases.at(-1), "complete");
  assert.ok(
    ["planning", "building", "rolling"].every((phase) => phases.includes(phase)),
    phases.join(),
  );
  assert.equal(stateOf(await methods.getRollout({ rollout: started.rolloutId }, call())).phase, "complete");
  assert.equal((await methods.listRollouts({}, call())).states?.length, 1);

  const variants = variantMethods({ store, blobs });
  const { variants: all = [] } = await variants.listVariants({ model: "model", variant: "" }, call());
  assert.deepEqual(all.map(({ name, devicesActive }) => [name, devicesActive]).sort(), [
    ["cfsp-rel-refit-30-q4b32a", 0],
    ["dense-q4b32a", 1],
    ["dense-q8b128", 1],
  ]);
  const digest = String(all[0]?.artifactDigest);
  const { variants: [one] = [] } = await variants.listVariants({ model: "", variant: digest.slice(7, 19) }, call());
  assert.ok(one?.manifest);
  const pieces: Uint8Array[] = [];
  for await (const { data } of variants.readVariantFile({ artifactDigest: digest, path: "model.onnx" }, call()))
    pieces.push(data as Uint8Array);
  assert.match(Buffer.concat(pieces).toString(), /^graph of /);
  await assert.rejects(variants.listVariants({ model: "", variant: "nothing" }, call()), { code: "variant.unknown" });
});

test("planning measures what was not measured, tells its progress and assigns nothing", async (t) => {
  const { store, builds, planner, measurer, playBuilder, assignments } = await startSmallFleet(t, fleet);
  const methods = planMethods({ store, builds, planner, measurer, isOnline: () => true, now: Date.now });
  const messages: string[] = [];
  let plan: Plan | null = null;
  const planning = (async () => {
    for await (const event of methods.plan({ spec: document({ name: "try", model: "model" }), whatIf: [] }, call())) {
      messages.push(event.message ?? "");
      if (event.plan) plan = Plan.parse(JSON.parse(event.plan.json ?? ""));
      if (event.plan === undefined) await playBuilder({});
    }
  })();
  await planning;
  assert.match(
    messages.join("\n"),
    /measurement kit: queued\n(.*\n)*measuring big: succeeded\n(.*\n)*sensitivity: queued/,
  );
  const choices = (plan as Plan | null)?.devices.map(({ choice }) => choice?.variantName);
  assert.deepEqual(choices, ["dense-q8b128", "dense-q4b32a"]);
  assert.deepEqual(await assignments(), []);
});

test("what can't be understood is refused by its code", async (t) => {
  const { store, startEngine, planner } = await startSmallFleet(t, fleet);
  const methods = rolloutMethods({ store, engine: startEngine(), planner, isOnline: () => true, now: () => 1 });
  await assert.rejects(methods.getRollout({ rollout: "none" }, call()), { code: "rollout.unknown" });
  await assert.rejects(methods.startRollout({ spec: null, dryRun: false, checkIndex: "" }, call()), {
    code: "rollout-spec.invalid",
  });
  await methods.startRollout(
    { spec: document({ name: "first", model: "model" }), dryRun: false, checkIndex: "" },
    call(),
  );
  await assert.rejects(
    methods.startRollout({ spec: document({ name: "first", model: "model" }), dryRun: false, checkIndex: "" }, call()),
    {
      code: "rollout.exists",
    },
  );
  await assert.rejects(methods.controlRollout({ rollout: "first", action: "ACTION_UNSPECIFIED" }, call()), {
    code: "rollout-action.invalid",
  });
});

test("a dry run finds what is wrong, tells the devices it would choose for, and starts nothing", async (t) => {
  const { store, startEngine, planner } = await startSmallFleet(t, [
    { id: "big", labels: { tier: "lab" } },
    { id: "small" },
  ]);
  const methods = rolloutMethods({ store, engine: startEngine(), planner, isOnline: () => true, now: () => 1 });
  const rehearse = (spec: object) =>
    methods.startRollout({ spec: document(spec), dryRun: true, checkIndex: "" }, call());
  const would = stateOf(await rehearse({ name: "first", model: "model", selector: "tier=lab" }));
  assert.deepEqual(
    would.devices.map(({ name }) => name),
    ["big"],
  );
  await assert.rejects(rehearse({ name: "first", model: "none", calibration: "none" }), {
    code: "rollout-spec.invalid",
    message: /model: .*\n.*calibration: /,
  });
  await assert.rejects(rehearse({ name: "first", model: "model", selector: "tier=none" }), {
    message: /selector: no device matches/,
  });
  assert.deepEqual((await methods.listRollouts({}, call())).states, []);
});

test("a rollout started with a plan's check index is refused once a device was measured again", async (t) => {
  const { store, builds, planner, measurer, playBuilder, startEngine } = await startSmallFleet(t, fleet);
  const isOnline = () => true;
  const planning = planMethods({ store, builds, planner, measurer, isOnline, now: Date.now });
  const spec = document({ name: "first", model: "model" });
  const indexOf = async () => {
    let index = "";
    for await (const event of planning.plan({ spec, whatIf: [] }, call())) {
      if (event.plan) index = Plan.parse(JSON.parse(event.plan.json ?? "")).checkIndex;
      else await playBuilder({});
    }
    return index;
  };
  const methods = rolloutMethods({ store, engine: startEngine(), planner, isOnline, now: () => 1 });
  const start = (checkIndex: string) => methods.startRollout({ spec, dryRun: true, checkIndex }, call());
  await assert.rejects(start("0123456789abcdef"), { code: "plan.stale", message: /never planned/ });
  const index = await indexOf();
  assert.equal(await indexOf(), index);
  await start(index);
  const [first] = await listProfiles(store.db);
  await saveProfile(store.db, { ...first!, measuredAtMs: first!.measuredAtMs + 1 });
  await assert.rejects(start(index), { code: "plan.stale", message: /have changed/ });
});
