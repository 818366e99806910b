import assert from "node:assert/strict";
import { test } from "node:test";
import { ClassCorrection } from "@espalier/shared/contracts/correction";
import { rolloutMethods } from "../rollout/operator-methods.ts";
import { type Behaviour, proofOf, startSmallFleet } from "../rollout/testing/small-fleet.ts";
import { findRollout } from "../store/rollouts.ts";
import { correctionMethods } from "./correction-methods.ts";

const call = () => ({ operator: "ada", role: "operator" as const, signal: new AbortController().signal });
const spec = (name: string) => ({ contract: "RolloutSpec", json: JSON.stringify({ name, model: "model" }) });
const near = (value: number, truth: number) => assert.ok(Math.abs(value / truth - 1) < 1e-9, `${value}, not ${truth}`);

test("what devices measure corrects the next plan, is told, doesn't feed on itself, and can be reset", async (t) => {
  const parts = await startSmallFleet(t, [{ id: "a" }, { id: "b" }]);
  const { store, planner, startEngine, play } = parts;
  const rollouts = rolloutMethods({ store, engine: startEngine(), planner, isOnline: () => true, now: () => 1 });
  const corrections = correctionMethods({ store, now: () => 2_000_000 });
  const listed = async () =>
    ((await corrections.listCorrections({}, call())).corrections ?? []).map(({ json }) =>
      ClassCorrection.parse(JSON.parse(json ?? "")),
    );
  /** 30 % slower than the first plan said, whatever later plans say. */
  let trueMs: number | undefined;
  const slower: Behaviour = (assignment, planned) => {
    if (assignment.variant === null) return { state: "idle" };
    const predictedMs = planned?.choice?.prediction.tpotMs.value ?? 1;
    trueMs ??= 1.3 * predictedMs;
    return { state: "active", proof: proofOf(assignment.variant.artifactDigest, planned, trueMs / predictedMs) };
  };
  const rollOut = async (name: string) => {
    await rollouts.startRollout({ spec: spec(name), dryRun: false, checkIndex: "" }, call());
    await play({ behaviour: slower });
    const plan = (await findRollout(store.db, name))?.plan;
    return { predictedMs: plan?.devices[0]?.choice?.prediction.tpotMs.value ?? 0, told: plan?.corrections ?? [] };
  };

  assert.deepEqual(await listed(), []);
  const first = await rollOut("first");
  assert.deepEqual(first.told, []);
  const factor = 1.3 ** (2 / 5);
  const [correction] = await listed();
  const [tpot] = correction?.quantities ?? [];
  assert.equal(tpot?.devices, 2);
  near(tpot?.medianRatio ?? 0, 1.3);
  near(tpot?.factor ?? 0, factor);

  const second = await rollOut("second");
  near(second.predictedMs, factor * first.predictedMs);
  assert.deepEqual(second.told, [correction]);
  near((await listed())[0]?.quantities[0]?.factor ?? 0, factor);

  await assert.rejects(corrections.resetCorrections({ hardwareClass: "nothing" }, call()), {
    code: "correction.unknown",
  });
  const { hardwareClasses } = await corrections.resetCorrections({ hardwareClass: "" }, call());
  assert.deepEqual(hardwareClasses, [correction?.hardwareClass]);
  assert.deepEqual(await listed(), []);
});
