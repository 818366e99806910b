import assert from "node:assert/strict";
import { test } from "node:test";
import { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import type { RolloutDevice, RolloutState } from "@espalier/shared/contracts/rollout-state";
import { renderRollout, rolloutLine } from "./rollout.ts";

const device = (name: string, change: Partial<RolloutDevice> = {}): RolloutDevice => ({
  deviceId: `dev-${name}`,
  name,
  wave: 0,
  phase: "pending",
  artifactDigest: null,
  rung: 0,
  previousArtifactDigest: null,
  assignedAtMs: null,
  progress: "",
  reason: "",
  proof: null,
  ...change,
});

const state = (devices: RolloutDevice[]): RolloutState => ({
  schemaVersion: 1,
  rolloutId: "r1",
  spec: RolloutSpec.parse({ name: "spring", model: "smol" }),
  phase: "rolling",
  reason: "",
  createdAtMs: Date.now(),
  updatedAtMs: Date.now(),
  plan: null,
  builds: [],
  waves: [
    {
      index: 0,
      name: "canary",
      state: "failed",
      gates: [
        {
          gate: "latency-objective",
          subject: "class-a",
          verdict: "fail",
          measured: 8.94,
          allowed: 7.6,
          evidence: 2,
          message: "pi: too slow",
        },
      ],
    },
  ],
  devices,
});

test("a gate is shown with its class, verdict, and both values in its unit", () => {
  const text = renderRollout(state([]));
  assert.match(text, /canary +latency-objective +fail +8\.9 ms +7\.6 ms +2 +class-a +pi: too slow/);
});

test("a device is shown with what it does, and why it ended as it did", () => {
  const progress = "downloading 1.0 of 84.0 MiB, 1.0 MiB/s, 83 s left";
  const text = renderRollout(
    state([device("pi", { phase: "working", progress }), device("box", { phase: "failed", reason: "out of memory" })]),
  );
  assert.ok(text.includes(progress));
  assert.match(text, /box +canary +failed .*out of memory/);
});

test("of many devices the ones that failed or work are shown first, and the rest counted", () => {
  const many = Array.from({ length: 30 }, (_, n) => device(`d${n}`, { phase: "active" }));
  const text = renderRollout(state([...many, device("bad", { phase: "failed" })]), { wide: false, maxDevices: 5 });
  assert.match(text, /bad +canary +failed/);
  assert.match(text, /and 26 more/);
});

test("one line says what changes: phase, who is at work, how many are done", () => {
  const line = rolloutLine(
    state([device("pi", { phase: "working", progress: "proving" }), device("box", { phase: "active" })]),
  );
  assert.equal(line, "spring: rolling, pi proving, 1/2 active");
});
