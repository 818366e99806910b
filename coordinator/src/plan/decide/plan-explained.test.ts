import assert from "node:assert/strict";
import { test } from "node:test";
import { upperEndOf } from "@espalier/shared/contracts/plan";
import { ordinaryCosts, syntheticKit, syntheticProfile } from "../../predict/testing/synthetic-device.ts";
import { syntheticRequest } from "../testing/synthetic-request.ts";
import { makePlan, type PlanDevice, type PlanRequest } from "./make-plan.ts";

const kit = syntheticKit();
const slow = { ...ordinaryCosts, fixedMs: 6, layerMs: 0.5, ffnColumnMs: 0.0009 };

function device(
  deviceId: string,
  costs: typeof slow,
  memoryMiB: number | null = null,
  watts: number | null = null,
): PlanDevice {
  const memoryBytes = memoryMiB === null ? null : memoryMiB * 2 ** 20;
  const profile = syntheticProfile({ deviceId, kit, costs, memoryBytes, watts });
  return { deviceId, name: deviceId, labels: {}, profile, missing: "", active: null };
}

const plan = (devices: readonly PlanDevice[], spec: Partial<PlanRequest["spec"]> = {}) =>
  makePlan(syntheticRequest(devices, spec));

const fleet = [device("big", ordinaryCosts), device("small", ordinaryCosts, 330), device("slow", slow)];

test("what a looser limit is said to buy is what planning with it gives", () => {
  const limits = { tpotP90Ms: 29 };
  const before = plan(fleet, { limits });
  const offer = before.alternatives.find(({ limit }) => limit === "tpotP90Ms")!;
  const after = plan(fleet, { limits: { tpotP90Ms: limits.tpotP90Ms * (1 + offer.by) } });
  const served = ({ devices }: typeof before) => devices.filter(({ choice }) => choice !== null).length;
  assert.equal(served(after) - served(before), offer.devicesServedMore);
  assert.deepEqual(after.variants.map(({ name }) => name).sort(), [...offer.variants].sort());
});

test("one variant more is offered when it serves more devices or saves quality, and only then", () => {
  const offered = (maxVariants: number) =>
    plan(fleet, { maxVariants }).alternatives.find(({ limit }) => limit === "maxVariants");
  const offer = offered(1)!;
  assert.deepEqual([offer.devicesBetter, offer.devicesServedMore], [2, 0]);
  assert.match(offer.text, /^One variant more would give 2 devices a better variant and save 0\.\d+ of KL in total\.$/);
  assert.equal(offered(2), undefined);
});

test("each step of a ladder fits the device, and is smaller and faster than the one before", () => {
  const { devices } = plan(fleet);
  for (const { ladder, choice, limits } of devices) {
    assert.ok(ladder.length > 0);
    let last = {
      tpotP90Ms: upperEndOf(choice!.prediction.tpotMs),
      peakMemoryBytes: upperEndOf(choice!.prediction.peakMemoryBytes),
    };
    for (const step of ladder) {
      assert.ok(step.tpotP90Ms < last.tpotP90Ms && step.peakMemoryBytes < last.peakMemoryBytes);
      assert.ok(step.peakMemoryBytes <= (limits.peakMemoryBytes ?? Infinity));
      last = step;
    }
  }
});

test("the cost beside shipping dense everywhere counts bytes, memory and time of the same devices", () => {
  const { cost, devices } = plan(fleet, { limits: { tpotP90Ms: 30 } });
  const dense = cost!.dense!;
  const planned = devices.filter(({ choice }) => choice !== null);
  assert.equal(dense.variantName, "dense-q8b128");
  assert.equal(dense.fits, 1);
  assert.equal(dense.compared, planned.length);
  assert.equal(
    cost!.downloadBytes,
    planned.reduce((sum, { downloadBytes }) => sum + downloadBytes, 0),
  );
  assert.ok(dense.downloadBytes > cost!.downloadBytes && dense.tpotP90Ms.dense > dense.tpotP90Ms.plan);
});

test("a limit on download time rules out what takes longer at the measured rate", () => {
  const bytes = (seconds: number) => plan([device("d", ordinaryCosts)], { limits: { downloadSeconds: seconds } });
  const { choice, reason } = bytes(1.2).devices[0]!;
  assert.notEqual(choice?.variantName, "dense-q8b128");
  assert.match(reason, /s download time, \d+ % over the objective of 1\.2 s/);
  assert.equal(bytes(2).devices[0]?.choice?.variantName, "dense-q8b128");
});

test("a limit on energy rules out what takes more at the measured power, and its cost is compared", () => {
  const at = (joulesPerToken: number) => plan([device("d", ordinaryCosts, null, 5)], { limits: { joulesPerToken } });
  const free = at(1);
  const { prediction } = free.devices[0]!.choice!;
  const upper = upperEndOf(prediction.joulesPerToken!);
  const tight = at(0.9 * upper);
  assert.match(tight.devices[0]!.reason, /J energy per token, 11 % over the objective of/);
  const { compared, plan: chosen, dense } = tight.cost!.dense!.joulesPerToken!;
  assert.equal(compared, 1);
  assert.ok(Math.abs(dense / upper - 1) < 1e-9 && chosen <= 0.9 * upper);
  const none = at(0.01 * upper).devices[0]!;
  assert.equal(none.choice, null);
  assert.match(none.reason, /would take 0\.\d+ J per token, allowed 0\.\d+ J/);
});

test("a limit on energy that devices without a counter can't be held against is noted", () => {
  const { notes, devices, cost } = plan([device("a", ordinaryCosts), device("b", ordinaryCosts, null, 5)], {
    limits: { joulesPerToken: 1 },
  });
  assert.ok(devices.every(({ choice }) => choice !== null));
  assert.deepEqual(
    notes.filter((note) => note.includes("energy")),
    ["The limit on energy per token says nothing of 1 device without a readable energy counter."],
  );
  assert.equal(cost!.dense!.joulesPerToken!.compared, 1);
});

test("a device that gets slower when it is kept busy is planned for at its slower pace", () => {
  const cool = device("a", ordinaryCosts);
  const { profile } = cool;
  const sample = (median: number) => ({ median, p90: median, relativeSpread: 0, repetitions: 9 });
  const timings = profile!.measurements.kit!.timings.map((timing, index) =>
    index === 0 ? { ...timing, sustained: { seconds: 60, first: sample(10), last: sample(14) } } : timing,
  );
  const kitTimings = { ...profile!.measurements.kit!, timings };
  const hot = { ...cool, profile: { ...profile!, measurements: { ...profile!.measurements, kit: kitTimings } } };
  const tpot = (one: PlanDevice) => plan([one]).devices[0]!.choice!.prediction.tpotMs.value;
  assert.ok(Math.abs(tpot(hot) / tpot(cool) - 1.4) < 1e-9);
});
