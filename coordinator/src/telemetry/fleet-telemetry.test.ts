import assert from "node:assert/strict";
import { test } from "node:test";
import { checkSnapshot } from "./decide/snapshot-problem.ts";
import { FleetTelemetry } from "./fleet-telemetry.ts";
import { snapshotOf } from "./testing/snapshots.ts";

const fleet = () => new FleetTelemetry({ staleAfterMs: 45_000 });
const served = (telemetry: FleetTelemetry, variant = "dense-q8b128") =>
  telemetry.groups(1000).find((group) => group.variant === variant)?.counters;

test("devices of one class and variant add up, bucket by bucket", () => {
  const telemetry = fleet();
  telemetry.apply(snapshotOf("a", [0.005, 0.02]), "small", 1000);
  telemetry.apply(snapshotOf("b", [0.02, 1]), "small", 1000);
  telemetry.apply(snapshotOf("c", [0.02]), "big", 1000);
  const group = telemetry.groups(1000).find(({ deviceClass }) => deviceClass === "small");
  assert.equal(group?.counters.requests.succeeded, 4);
  assert.deepEqual(
    [
      group?.counters.timePerOutputToken.counts.at(0),
      group?.counters.timePerOutputToken.counts.at(-2),
      group?.counters.timePerOutputToken.counts.at(-1),
    ],
    [0, 3, 4],
  );
  assert.ok(Math.abs((group?.counters.timePerOutputToken.sumSeconds ?? 0) - 1.045) < 1e-12);
  assert.equal(group?.serving.length, 2);
});

test("repeated, lost and reordered snapshots change nothing in the end", () => {
  const telemetry = fleet();
  for (const count of [1, 1, 3, 2, 3])
    telemetry.apply(snapshotOf("a", new Array<number>(count).fill(0.01)), "small", 1000);
  assert.equal(served(telemetry)?.requests.succeeded, 3);
  assert.equal(served(telemetry)?.completionTokens, 60);
});

test("a device that restarts counts on, and sums never go backwards", () => {
  const telemetry = fleet();
  telemetry.apply(snapshotOf("a", [0.01, 0.01, 0.01]), "small", 1000);
  telemetry.apply(snapshotOf("a", [0.01], { startedAtMs: 2 }), "small", 1000);
  assert.equal(served(telemetry)?.requests.succeeded, 4);
  // A device whose counters go back without saying that it restarted is taken at its word from zero.
  telemetry.apply(snapshotOf("a", [], { startedAtMs: 2, atMs: 999 }), "small", 1000);
  assert.equal(served(telemetry)?.requests.succeeded, 4);
});

test("what was served before a change of variant stays with the old variant", () => {
  const telemetry = fleet();
  telemetry.apply(snapshotOf("a", [0.01, 0.01]), "small", 1000);
  const pruned = { artifactDigest: snapshotOf("a", []).variant!.artifactDigest, name: "pruned" };
  telemetry.apply(snapshotOf("a", [0.01], { startedAtMs: 2, variant: pruned }), "small", 1000);
  assert.equal(served(telemetry)?.requests.succeeded, 2);
  assert.equal(served(telemetry, "pruned")?.requests.succeeded, 1);
  assert.deepEqual(
    telemetry.groups(1000).map(({ serving }) => serving.length),
    [0, 1],
  );
});

test("a stale device no longer serves, by our clock and not by its own", () => {
  const telemetry = fleet();
  telemetry.apply(snapshotOf("a", [0.01], { atMs: 9e12 }), "small", 1000);
  assert.equal(telemetry.isStale(telemetry.device("a")!, 46_000), false);
  assert.equal(telemetry.isStale(telemetry.device("a")!, 46_001), true);
  assert.deepEqual(
    telemetry.groups(46_001).map(({ serving }) => serving.length),
    [0],
  );
});

test("classes and variants beyond a bound share one series", () => {
  const telemetry = fleet();
  for (let index = 0; index < 700; index++) telemetry.apply(snapshotOf(`d${index}`, [0.01]), `class-${index}`, 1000);
  const groups = telemetry.groups(1000);
  assert.equal(groups.length, 501);
  assert.equal(
    groups.reduce((sum, { counters }) => sum + counters.requests.succeeded, 0),
    700,
  );
  assert.equal(groups.at(-1)?.deviceClass, "other");
});

test("snapshots of another device, with foreign buckets or falling counts are refused", () => {
  const good = snapshotOf("a", [0.01]);
  assert.equal(checkSnapshot(good, "a").ok, true);
  const { counts, sumSeconds } = good.timePerOutputToken;
  for (const bad of [
    good,
    { ...good, deviceId: "b", timePerOutputToken: { counts: counts.slice(1), sumSeconds } },
    { ...good, deviceId: "b", timePerOutputToken: { counts: counts.toReversed(), sumSeconds } },
    { ...good, deviceId: "b", extra: 1 },
    undefined,
  ])
    assert.equal(checkSnapshot(bad, "b").ok, false);
});
