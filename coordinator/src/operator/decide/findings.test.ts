import assert from "node:assert/strict";
import { test } from "node:test";
import { type CoordinatorFacts, coordinatorFindings } from "./findings.ts";

const dayMs = 86_400_000;
const gib = 2 ** 30;
const well: CoordinatorFacts = {
  nowMs: 1_000 * dayMs,
  version: "1",
  dataFolder: "/data",
  disk: { freeBytes: 50 * gib, totalBytes: 100 * gib },
  brokerConnected: true,
  oldestOwedAtMs: null,
  builders: 1,
  certificates: [{ what: "the authority's certificate", expiresAtMs: 2_000 * dayMs, fix: "renew it" }],
  devices: [{ name: "pi", online: true, agentVersion: "1", state: "active" }],
  pausedRollouts: [],
};
const wrong = (change: Partial<CoordinatorFacts>) =>
  coordinatorFindings({ ...well, ...change }).filter(({ level }) => level !== "ok");

test("a coordinator that is well has a finding for everything that was looked at, and nothing to fix", () => {
  const findings = coordinatorFindings(well);
  assert.deepEqual(
    findings.map(({ check }) => check),
    ["nats", "disk", "builders", "certificates", "devices", "versions"],
  );
  assert.ok(findings.every(({ level, fix }) => level === "ok" && fix === ""));
});

const rows: [string, Partial<CoordinatorFacts>, string, "warning" | "error", RegExp][] = [
  ["no connection to the broker", { brokerConnected: false }, "nats", "error", /no connection/],
  ["a decision that waits for the broker", { oldestOwedAtMs: well.nowMs - 61_000 }, "nats", "warning", /61 s/],
  ["a full disk", { disk: { freeBytes: gib - 1, totalBytes: 4 * gib } }, "disk", "error", /1\.0 of 4\.0 GiB/],
  ["a disk that fills", { disk: { freeBytes: 9 * gib, totalBytes: 100 * gib } }, "disk", "warning", /9\.0 of 100/],
  ["no builder", { builders: 0 }, "builders", "warning", /no builder/],
  ["a broker that can't say who waits", { builders: null }, "builders", "warning", /can't say/],
  ["no device", { devices: [] }, "devices", "warning", /none is enrolled/],
  ["a paused rollout", { pausedRollouts: ["spring"] }, "rollouts", "warning", /spring is paused/],
];
for (const [name, change, check, level, message] of rows) {
  test(`${name} is found, with its fix`, () => {
    const [found, ...others] = wrong(change);
    assert.deepEqual(others, []);
    assert.deepEqual([found?.check, found?.level], [check, level]);
    assert.match(found?.message ?? "", message);
    assert.notEqual(found?.fix, "");
  });
}

test("a certificate is warned of a month before its end, and wrong after it", () => {
  const ending = (days: number) =>
    wrong({ certificates: [{ what: "it", expiresAtMs: well.nowMs + days * dayMs, fix: "renew it" }] });
  assert.deepEqual(ending(30), []);
  assert.deepEqual(ending(29), [
    { check: "certificates", level: "warning", message: "it lasts 29 more day(s)", fix: "renew it" },
  ]);
  assert.equal(ending(-1)[0]?.level, "error");
});

test("devices that are offline, failed or of another version are named, a few of many", () => {
  const devices = Array.from({ length: 7 }, (_, n) => ({
    name: `d${n}`,
    online: n > 0,
    agentVersion: n < 6 ? "2" : "1",
    state: n === 1 ? "failed" : "active",
  }));
  assert.deepEqual(
    wrong({ devices }).map(({ check, message }) => [check, message]),
    [
      ["devices", "offline: d0; failed: d1"],
      ["versions", "not 1 as the coordinator: d0 (2), d1 (2), d2 (2), d3 (2), d4 (2) and 1 more"],
    ],
  );
});
