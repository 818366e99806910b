import assert from "node:assert/strict";
import { test } from "node:test";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { hasCode } from "@espalier/shared/errors";
import { qualityOf } from "../plan/testing/synthetic-candidates.ts";
import { findAssignment, listAssignments } from "../store/assignments.ts";
import { findDevice } from "../store/devices.ts";
import { listEvents } from "../store/events.ts";
import { listJobs } from "../store/jobs.ts";
import { pendingOutbox } from "../store/outbox.ts";
import { type Behaviour, type FleetDevice, proofOf, provesItself, startSmallFleet } from "./testing/small-fleet.ts";

const fleet: FleetDevice[] = [{ id: "big-1" }, { id: "big-2" }, { id: "small", memoryMiB: 330 }];
const spec = { name: "first", model: "model", canaryShare: 0.1 };
const phasesOf = (state: RolloutState) =>
  Object.fromEntries(state.devices.map(({ deviceId, phase }) => [deviceId, phase]));

test("a rollout measures, plans, builds, proves a canary and completes, each device told once", async (t) => {
  const { startEngine, play, store } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start(spec);
  const state = await play();
  assert.equal(state.phase, "complete", state.reason);
  assert.deepEqual(phasesOf(state), { "big-1": "active", "big-2": "active", small: "active" });
  assert.deepEqual(
    state.waves.map(({ name, state: wave }) => [name, wave]),
    [
      ["canary", "passed"],
      ["rest", "passed"],
    ],
  );
  assert.deepEqual(
    state.devices.filter(({ wave }) => wave === 0).map(({ deviceId }) => deviceId),
    ["big-1"],
  );
  assert.equal((await findDevice(store.db, "small"))?.activeArtifactDigest, state.devices[2]?.artifactDigest);
  for (const { generation } of await listAssignments(store.db)) assert.deepEqual(generation, { epoch: 1, n: 1 });
  assert.ok(state.plan?.variants.every(({ qualitySource }) => qualitySource === "report"));
  const gates = await listEvents(store.db, { rolloutId: "rollout-1", limit: 100 });
  assert.ok(
    gates.some(({ kind, data }) => kind === "rollout.gate" && data["gate"] === "probe" && data["measured"] === 1),
  );
});

test("a coordinator killed after any write goes on to the same end, and no device is told twice", async (t) => {
  const reference = await startSmallFleet(t, fleet);
  await reference.startEngine().start(spec);
  const expected = await reference.play();
  const total = reference.saves();
  assert.ok(total >= 8, `${total} writes`);
  for (let kill = 1; kill <= total; kill++) {
    const { startEngine, play, store } = await startSmallFleet(t, fleet);
    const first = startEngine({ stopAfterSaves: kill });
    await first.start(spec);
    const state = await play();
    assert.equal(state.phase, "complete", `killed after write ${kill}: ${state.reason}`);
    assert.deepEqual(phasesOf(state), phasesOf(expected));
    for (const { generation } of await listAssignments(store.db))
      assert.equal(generation.n, 1, `killed after write ${kill}`);
  }
});

test("a canary that fails goes back to nothing, and the other devices are never told", async (t) => {
  const { startEngine, play, store } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start(spec);
  const fails: Behaviour = (assignment) =>
    assignment.variant === null ? { state: "idle" } : { state: "failed", reason: "first logits differ" };
  const state = await play({ behaviour: fails });
  assert.equal(state.phase, "rolled-back");
  assert.match(state.reason, /1 of 1 devices failed, first big-1: first logits differ/);
  assert.deepEqual(phasesOf(state), { "big-1": "failed", "big-2": "pending", small: "pending" });
  assert.equal((await findAssignment(store.db, "big-1"))?.variant, null);
  assert.equal(await findAssignment(store.db, "big-2"), null);
});

test("a device whose variant fails steps down one rung of its ladder, and its events say why", async (t) => {
  const { startEngine, play, store } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start(spec);
  const failsOnce: Behaviour = (assignment, planned) =>
    assignment.deviceId === "big-2" && assignment.generation.n === 1
      ? { state: "failed", reason: "out of memory" }
      : provesItself(assignment, planned);
  const state = await play({ behaviour: failsOnce });
  assert.equal(state.phase, "complete", state.reason);
  const [chosen, lower] = ["big-1", "big-2"].map((id) => state.devices.find(({ deviceId }) => deviceId === id));
  assert.deepEqual([lower?.phase, lower?.rung], ["active", 1]);
  const first = state.plan?.devices.find(({ deviceId }) => deviceId === "big-2")?.ladder[0];
  const variant = state.plan?.frontier.find(({ recipeDigest }) => recipeDigest === first?.recipeDigest);
  assert.equal(lower?.artifactDigest, variant?.artifactDigest);
  assert.notEqual(lower?.artifactDigest, chosen?.artifactDigest);
  assert.equal((await findAssignment(store.db, "big-2"))?.generation.n, 2);
  const events = await listEvents(store.db, { deviceId: "big-2", limit: 100 });
  const steps = events.filter(({ kind }) => kind === "rollout.step-down");
  assert.deepEqual(
    steps.map(({ message, data }) => [message, data["rung"]]),
    [[`stepped down to ${variant?.name}, since the variant before failed: out of memory`, 1]],
  );
  const gate = state.waves[1]?.gates.find(({ gate: name }) => name === "failures");
  assert.match(gate?.message ?? "", /0 of 2 devices failed, 1 stepped down/);
});

test("of equal devices with one variant, one that can't run it has a smaller one ready", async (t) => {
  const { startEngine, play, store } = await startSmallFleet(t, [{ id: "one" }, { id: "two" }, { id: "three" }]);
  await startEngine().start(spec);
  const failsOnce: Behaviour = (assignment, planned) =>
    assignment.deviceId === "three" && assignment.generation.n === 1
      ? { state: "failed", reason: "out of memory" }
      : provesItself(assignment, planned);
  const rolling = await play({ behaviour: failsOnce, until: ({ phase }) => phase === "rolling" });
  const [fallback] = rolling.plan?.fallbacks ?? [];
  assert.deepEqual(
    rolling.plan?.variants.map(({ name }) => name),
    ["dense-q8b128"],
  );
  assert.equal(fallback?.qualitySource, "report");
  const owed = (await pendingOutbox(store.db, 100)).filter(({ kind }) => kind === "artifact");
  assert.ok(
    owed.some(({ subject }) => subject === fallback?.artifactDigest),
    "on its way to where devices download",
  );
  const state = await play({ behaviour: failsOnce });
  assert.equal(state.phase, "complete", state.reason);
  const lower = state.devices.find(({ deviceId }) => deviceId === "three");
  assert.deepEqual([lower?.phase, lower?.rung, lower?.artifactDigest], ["active", 1, fallback?.artifactDigest]);
});

test("a fallback below the quality floor when built is replaced by another", async (t) => {
  const { startEngine, play } = await startSmallFleet(t, [{ id: "one" }, { id: "two" }]);
  await startEngine().start({ ...spec, qualityFloor: { maxKl: 1 } });
  const state = await play({ built: { "dense-q4b32a": qualityOf(1.5) } });
  assert.equal(state.phase, "complete", state.reason);
  const [fallback] = state.plan?.fallbacks ?? [];
  assert.ok(fallback !== undefined && fallback.name !== "dense-q4b32a" && fallback.artifactDigest !== null);
  assert.ok(state.builds.some(({ variantName }) => variantName === "dense-q4b32a"));
});

test("a canary that only runs a smaller variant pauses the rollout before others get what failed", async (t) => {
  const { startEngine, play, store } = await startSmallFleet(t, fleet);
  await startEngine().start(spec);
  const failsOnce: Behaviour = (assignment, planned) =>
    assignment.generation.n === 1 ? { state: "failed", reason: "too slow" } : provesItself(assignment, planned);
  const state = await play({ behaviour: failsOnce });
  assert.equal(state.phase, "paused");
  assert.match(state.reason, /1 stepped down, first big-1 stepped down to .*: too slow/);
  assert.equal(await findAssignment(store.db, "big-2"), null);
});

test("a second wave that breaks its objective goes back, and the first keeps the new variant", async (t) => {
  const { startEngine, play, store } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start({ ...spec, limits: { tpotP90Ms: 100 } });
  const slowSecond: Behaviour = (assignment, planned) =>
    assignment.deviceId === "big-2" && assignment.variant !== null
      ? { state: "active", proof: proofOf(assignment.variant.artifactDigest, planned, 12) }
      : provesItself(assignment, planned);
  const state = await play({ behaviour: slowSecond });
  assert.equal(state.phase, "rolled-back", state.reason);
  assert.match(state.reason, /big-2: time per output token above 100.0 ms in 10 of 10 requests/);
  assert.deepEqual(phasesOf(state), { "big-1": "active", "big-2": "rolled-back", small: "rolled-back" });
  assert.equal((await findAssignment(store.db, "big-2"))?.variant, null);
  assert.notEqual((await findAssignment(store.db, "big-1"))?.variant, null);
});

test("a measurement far from the prediction pauses, and resuming accepts it", async (t) => {
  const { startEngine, play } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start(spec);
  const odd: Behaviour = (assignment, planned) =>
    assignment.variant === null
      ? null
      : { state: "active", proof: proofOf(assignment.variant.artifactDigest, planned, 2) };
  const paused = await play({ behaviour: odd });
  assert.equal(paused.phase, "paused");
  assert.match(paused.reason, /canary is inconclusive: big-1 takes .* ms per output token, predicted/);
  assert.equal(phasesOf(paused)["big-2"], "pending");
  await engine.control("first", "resume", "ada");
  const state = await play();
  assert.equal(state.phase, "complete");
});

test("a device that never answers counts as offline after its deadline and frees the wave", async (t) => {
  const { startEngine, play, advanceClock } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start(spec);
  const silent: Behaviour = (assignment, planned) =>
    assignment.deviceId === "small" ? null : provesItself(assignment, planned);
  await play({ behaviour: silent, until: ({ waves }) => waves[1]?.state === "running" });
  advanceClock(901_000);
  const state = await play({ behaviour: silent });
  assert.equal(state.phase, "complete");
  assert.deepEqual(phasesOf(state), { "big-1": "active", "big-2": "active", small: "offline" });
});

test("a variant below the quality floor when built is replaced before any device is told", async (t) => {
  const { startEngine, play, store } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start({ ...spec, qualityFloor: { maxKl: 0.5 } });
  const state = await play({ built: { "dense-q4b32a": qualityOf(0.9) } });
  assert.equal(state.phase, "complete", state.reason);
  const small = state.plan?.devices.find(({ deviceId }) => deviceId === "small")?.choice?.variantName;
  assert.ok(small !== undefined && small !== "dense-q4b32a");
  assert.ok(state.builds.some(({ variantName }) => variantName === "dense-q4b32a"));
  assert.ok(state.plan?.notes.some((note) => /Below the quality floor: .*dense-q4b32a/.test(note)));
  for (const { generation } of await listAssignments(store.db)) assert.equal(generation.n, 1);
});

test("aborting sends devices in flight back and leaves proven ones alone", async (t) => {
  const { startEngine, play, store } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start(spec);
  const stuck: Behaviour = (assignment, planned) =>
    assignment.deviceId === "big-1" ? provesItself(assignment, planned) : { state: "downloading" };
  await play({
    behaviour: stuck,
    until: ({ devices }) => devices.some(({ progress }) => progress === "downloading 50 %"),
  });
  await engine.control("first", "abort", "ada");
  const state = await play();
  assert.deepEqual([state.phase, state.reason], ["aborted", "aborted by ada"]);
  assert.deepEqual(phasesOf(state), { "big-1": "active", "big-2": "rolled-back", small: "rolled-back" });
  assert.equal((await findAssignment(store.db, "big-2"))?.variant, null);
  await assert.rejects(engine.control("first", "resume", "ada"), { code: "rollout.not-controllable" });
});

test("a second rollout builds nothing again, and when it fails its devices go back to what they ran", async (t) => {
  const { startEngine, play, store } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start({ ...spec, buildFallbacks: false });
  const first = await play();
  const jobs = await listJobs(store.db);
  assert.equal(jobs.filter(({ job }) => job.kind === "build").length, 2);

  await engine.start({ ...spec, name: "second", canaryShare: 0, buildFallbacks: false });
  const forgetful: Behaviour = (assignment, planned) =>
    assignment.rolloutId === "rollout-2" && assignment.deviceId === "small" && assignment.generation.n === 2
      ? { state: "failed", reason: "out of memory" }
      : provesItself(assignment, planned);
  const second = await play({ behaviour: forgetful });
  assert.equal(second.phase, "rolled-back");
  assert.equal((await listJobs(store.db)).length, jobs.length);
  for (const { deviceId, artifactDigest } of first.devices) {
    assert.equal((await findAssignment(store.db, deviceId))?.variant?.artifactDigest, artifactDigest, deviceId);
    assert.equal((await findDevice(store.db, deviceId))?.activeArtifactDigest, artifactDigest, deviceId);
  }
});

test("a spec with several mistakes is refused with all of them and their paths", async (t) => {
  const { startEngine } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await assert.rejects(
    engine.start({ name: "BAD", model: "model", limits: { tpotP90Ms: -1 }, maxVariants: 99 }),
    (error: Error) => {
      assert.ok(hasCode(error, "rollout-spec.invalid"));
      for (const path of ["name", "limits.tpotP90Ms", "maxVariants"])
        assert.match(error.message, new RegExp(`\\n  ${path}: `));
      return true;
    },
  );
  await assert.rejects(
    engine.start({ name: "ok", model: "nope", evaluation: "none" }),
    /model: no model "nope".*\n.*evaluation: no dataset "none"/,
  );
});

test("with no device the rollout fails and says why", async (t) => {
  const { startEngine, play } = await startSmallFleet(t, fleet);
  const engine = startEngine();
  await engine.start({ ...spec, selector: "site=moon" });
  const state = await play();
  assert.deepEqual([state.phase, state.reason], ["failed", 'no device matches "site=moon"']);
});

test("an offline device that was never measured is skipped with the reason", async (t) => {
  const { startEngine, play, advanceClock } = await startSmallFleet(t, [{ id: "here" }, { id: "away", offline: true }]);
  const engine = startEngine();
  await engine.start(spec);
  await play();
  advanceClock(10_000);
  const state = await play();
  assert.equal(state.phase, "complete");
  assert.deepEqual(phasesOf(state), { away: "skipped", here: "active" });
  assert.match(state.devices.find(({ deviceId }) => deviceId === "away")?.reason ?? "", /offline and not measured/);
});
