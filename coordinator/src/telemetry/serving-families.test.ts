import assert from "node:assert/strict";
import { test } from "node:test";
import { zeroCounters } from "./decide/counters.ts";
import { Exposition } from "./exposition.ts";
import { writeServing } from "./serving-families.ts";
import { snapshotOf } from "./testing/snapshots.ts";

function energyOf(joules: readonly (number | null)[]): string | undefined {
  const exposition = new Exposition();
  const serving = joules.map((joulesPerToken, index) => snapshotOf(`dev-${index}`, [], { joulesPerToken }));
  writeServing(exposition, "espalier_", [{ labels: { variant: "v" }, counters: zeroCounters(), serving }]);
  return /^espalier_energy_per_token_joules\{variant="v"\} (.*)$/m.exec(exposition.text())?.[1];
}

test("energy per token is the mean of the devices that have a counter, and no sample where none has", () => {
  assert.equal(energyOf([0.5, null, 1.5]), "1");
  assert.equal(energyOf([null, null]), undefined);
});
