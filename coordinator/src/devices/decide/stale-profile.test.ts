import assert from "node:assert/strict";
import { test } from "node:test";
import type { Inventory } from "@espalier/shared/contracts/profile";
import { syntheticKit, syntheticProfile } from "../../predict/testing/synthetic-device.ts";
import { staleReason } from "./stale-profile.ts";

const profile = syntheticProfile({ deviceId: "d", kit: syntheticKit() });
const { inventory, budget } = profile;
const withInventory = (change: Partial<Inventory>, before: Partial<Inventory> = {}) =>
  staleReason(
    { ...profile, inventory: { ...inventory, ...before } },
    { inventory: { ...inventory, ...change }, budget },
  );

test("a profile holds while hardware, budget, runtime and power are what they were", () => {
  assert.equal(staleReason(profile, { inventory, budget }), null);
  assert.equal(staleReason(profile, { inventory: null, budget: null }), null);
  assert.equal(withInventory({ memoryTotalBytes: inventory.memoryTotalBytes * 1.01, diskFreeBytes: 1 }), null);
  assert.equal(withInventory({ instructionSets: ["b", "a"] }, { instructionSets: ["a", "b"] }), null);
  assert.equal(withInventory({ powerSource: "battery" }), null);
});

test("each change that timings hang on is named", () => {
  assert.match(String(staleReason(profile, { inventory, budget: { ...budget, threads: 2 } })), /another budget/);
  const changes: [Partial<Inventory>, RegExp][] = [
    [{ cpuModel: "Other CPU" }, /was Test CPU, now Other CPU/],
    [{ logicalCores: 4 }, /had 2 cores, now 4/],
    [{ instructionSets: ["avx2"] }, /instruction sets/],
    [{ memoryTotalBytes: inventory.memoryTotalBytes / 2 }, /memory/],
    [{ onnxruntimeVersion: "2.0.0" }, /onnxruntime 1.30.0, now 2.0.0/],
    [{ agentVersion: "9.0.0" }, /agent was 0.1.0, now 9.0.0/],
  ];
  for (const [change, told] of changes) assert.match(String(withInventory(change)), told);
  assert.match(String(withInventory({ powerSource: "battery" }, { powerSource: "mains" })), /on mains, now on battery/);
});
