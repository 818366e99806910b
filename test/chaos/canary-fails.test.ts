/** A variant that fails on the first devices of a fleet of real processes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import { eventually, reached } from "../eventually.ts";
import type { AgentProcess } from "./kit/agent-process.ts";
import { startFleet } from "./kit/fleet.ts";
import { onlyInChaos, record } from "./kit/injections.ts";

const recipe = (sparsity: number): Recipe => ({
  schemaVersion: 1,
  pruning: { method: "magnitude", sparsity, alignment: 8, refit: false },
  quantization: { method: "rtn", bits: 8, blockSize: 32, symmetric: true, accuracyLevel: 4 },
});
/** Whatever else the machine does is waited for. */
const waitMs = 900_000;

test("a rollout whose canary fails goes back inside that wave, and devices of later waves are not touched", {
  skip: onlyInChaos,
}, async (t) => {
  const fleet = await startFleet(t, 2);
  const generations = () =>
    new Map(fleet.query("select device_id, n from assignments").map((row) => [row["device_id"], row["n"]]));
  const served = () => fleet.agents.map((agent) => agent.state().active?.artifactDigest);
  const ended = (id: string) =>
    eventually(async () => {
      const state = fleet.rollout(id);
      assert.ok(["complete", "failed", "rolled-back", "paused"].includes(state.phase), state.phase);
      return state;
    }, waitMs);
  const good = await ended(await fleet.rollOut({ name: "good", candidates: [recipe(0.1)], canaryShare: 0.5 }));
  assert.equal(good.phase, "complete", good.reason);
  const [before, whatServed] = [generations(), served()];

  const id = await fleet.rollOut({ name: "failing", candidates: [recipe(0.2)], canaryShare: 0.5 });
  const proving = (attempt: number): AgentProcess | undefined =>
    fleet.agents.find((agent) => agent.state().trial?.attempts === attempt);
  for (const attempt of [1, 2]) {
    await reached(() => proving(attempt) !== undefined, waitMs);
    const canary = proving(attempt);
    await canary?.end("SIGKILL");
    await canary?.start();
  }
  const state = await ended(id);
  assert.equal(state.phase, "rolled-back", state.reason);
  const failed = state.devices.find(({ wave }) => wave === 0);
  const untouched = state.devices.find(({ wave }) => wave === 1);
  assert.match(failed?.reason ?? "", /died 2 times while it proved/);
  assert.ok(untouched !== undefined && untouched.assignedAtMs === null);
  assert.equal(generations().get(untouched.deviceId), before.get(untouched.deviceId), "it was told nothing");
  await eventually(async () => assert.deepEqual(served(), whatServed));
  record({
    faults: [20],
    fault: "the canary of two waves dies each time it proves the new variant",
    injections: 2,
    outcome: "rolled back inside the first wave; the other device was told nothing, both serve what they served",
  });
});
