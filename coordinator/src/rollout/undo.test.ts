import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { recipeName } from "@espalier/shared/contracts/recipe";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { defaultCandidates } from "../plan/decide/candidate-grid.ts";
import { listAssignments } from "../store/assignments.ts";
import { revokeDevice } from "../store/device-changes.ts";
import { listEvents } from "../store/events.ts";
import { type Behaviour, proofOf, provesItself, startSmallFleet } from "./testing/small-fleet.ts";

const fleet = [{ id: "big-1" }, { id: "big-2" }];
const first = { name: "first", model: "model" };
const artifacts = (state: RolloutState) => state.devices.map(({ artifactDigest }) => artifactDigest);

async function afterTwoRollouts(t: TestContext) {
  const parts = await startSmallFleet(t, fleet);
  const engine = parts.startEngine();
  await engine.start(first);
  const good = await parts.play();
  assert.equal(good.phase, "complete", good.reason);
  const smaller = defaultCandidates().find((recipe) => recipeName(recipe) === "dense-q4b32a");
  assert.ok(smaller);
  parts.advanceClock(1_000);
  await engine.start({ ...first, name: "second", candidates: [smaller] });
  const bad = await parts.play();
  parts.advanceClock(1_000);
  return { ...parts, engine, good, bad };
}

test("undoing brings back the variants of the completed rollout before, behind its gates, canary first", async (t) => {
  const { engine, play, store, good, bad } = await afterTwoRollouts(t);
  assert.equal(bad.phase, "complete", bad.reason);
  assert.notDeepEqual(artifacts(bad), artifacts(good));
  const begun = await engine.undo("second");
  assert.deepEqual(
    [begun.spec, begun.phase, begun.reason],
    [good.spec, "building", `undoes second (${bad.rolloutId})`],
  );
  const undone = await play();
  assert.equal(undone.phase, "complete", undone.reason);
  assert.deepEqual(artifacts(undone), artifacts(good));
  assert.deepEqual(
    undone.waves.map(({ name, state, gates }) => [name, state, gates.some(({ gate }) => gate === "probe")]),
    [
      ["canary", "passed", true],
      ["rest", "passed", true],
    ],
  );
  const assigned = (await listAssignments(store.db)).map(({ variant }) => variant?.artifactDigest);
  assert.deepEqual(assigned, artifacts(good));
  const events = await listEvents(store.db, { rolloutId: undone.rolloutId, limit: 100 });
  assert.ok(events.some(({ message }) => message.startsWith("undoes second")));
});

test("a device that had stepped down gets back the rung that it ended on", async (t) => {
  const { startEngine, play, advanceClock } = await startSmallFleet(t, [...fleet, { id: "small", memoryMiB: 330 }]);
  const engine = startEngine();
  await engine.start(first);
  const failsOnce: Behaviour = (assignment, planned) =>
    assignment.deviceId === "big-2" && assignment.generation.n === 1
      ? { state: "failed", reason: "out of memory" }
      : provesItself(assignment, planned);
  const good = await play({ behaviour: failsOnce });
  assert.deepEqual(
    good.devices.map(({ deviceId, phase, rung }) => [deviceId, phase, rung]),
    [
      ["big-1", "active", 0],
      ["big-2", "active", 1],
      ["small", "active", 0],
    ],
  );
  advanceClock(1_000);
  const smallest = defaultCandidates().find((recipe) => recipeName(recipe) === "cfsp-rel-refit-30-q4b128a");
  assert.ok(smallest);
  await engine.start({ ...first, name: "second", candidates: [smallest] });
  const bad = await play();
  assert.equal(bad.phase, "complete", bad.reason);
  assert.notDeepEqual(artifacts(bad), artifacts(good));
  advanceClock(1_000);
  await engine.undo("second");
  const undone = await play();
  assert.equal(undone.phase, "complete", undone.reason);
  assert.deepEqual(artifacts(undone), artifacts(good));
  assert.ok(undone.devices.every(({ rung }) => rung === 0));
  const planned = undone.plan?.devices.find(({ deviceId }) => deviceId === "big-2");
  assert.match(planned?.reason ?? "", /stepped down to .*: out of memory/);
});

test("a device that does worse on the way back stops the way back", async (t) => {
  const { engine, play, good } = await afterTwoRollouts(t);
  await engine.undo("second");
  const disagrees: Behaviour = (assignment, planned) => {
    if (assignment.variant === null) return { state: "idle" };
    const proof = { ...proofOf(assignment.variant.artifactDigest, planned), agreementWithBuilder: 0.1 };
    return { state: "active", proof };
  };
  const undone = await play({ behaviour: disagrees });
  assert.equal(undone.phase, "rolled-back", undone.reason);
  assert.equal(undone.devices.find(({ wave }) => wave === 1)?.phase, "pending");
  assert.equal(good.phase, "complete");
});

test("only devices that the undone rollout chose for and that are still enrolled go back", async (t) => {
  const { engine, store, good } = await afterTwoRollouts(t);
  await revokeDevice(store.db, "big-2", 1);
  const begun = await engine.undo("second");
  assert.deepEqual(
    begun.devices.map(({ deviceId }) => deviceId),
    ["big-1"],
  );
  assert.deepEqual(artifacts(begun), artifacts(good).slice(0, 1));
});

test("what is under way, unknown or without a predecessor can't be undone", async (t) => {
  const { startEngine, play, advanceClock } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await assert.rejects(engine.undo("nothing"), { code: "rollout.unknown" });
  await engine.start(first);
  await assert.rejects(engine.undo("first"), { code: "rollout.not-controllable", remedy: /abort first/ });
  await play();
  advanceClock(1_000);
  await assert.rejects(engine.undo("first"), { code: "rollout.no-predecessor" });
});
