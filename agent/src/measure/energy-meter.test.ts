import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { energyCounters, startEnergyMeter, startPowerMeter } from "./energy-meter.ts";

/** A made-up /sys whose counters a test sets, in microjoules. */
async function fakeSys(t: TestContext) {
  const sys = await mkdtemp(join(tmpdir(), "espalier-sys-"));
  t.after(() => rm(sys, { recursive: true, force: true }));
  return {
    sys,
    async set(zone: string, energy: string | number, range: string | number = 262_143_328_850) {
      const folder = join(sys, "class/powercap", zone);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "energy_uj"), `${energy}\n`);
      await writeFile(join(folder, "max_energy_range_uj"), `${range}\n`);
    },
  };
}

test("packages add up, and their parts are not counted again", async (t) => {
  const { sys, set } = await fakeSys(t);
  await set("intel-rapl:0", 5_000_000);
  await set("intel-rapl:1", 7_000_000);
  await set("intel-rapl:0:0", 1_000_000);
  const joules = await startEnergyMeter(sys);
  assert.equal(await joules(), 0);
  await set("intel-rapl:0", 8_500_000);
  await set("intel-rapl:1", 7_250_000);
  await set("intel-rapl:0:0", 9_000_000);
  assert.equal(await joules(), 3.75);
});

test("a device names the counters that are counted, and none where they can't be", async (t) => {
  const { sys, set } = await fakeSys(t);
  assert.equal(await energyCounters(sys), null);
  await set("intel-rapl:0:0", 1);
  assert.equal(await energyCounters(sys), null, "a part of a package is no counter of the package");
  await set("intel-rapl:0", 1);
  assert.deepEqual(await energyCounters(sys), [join(sys, "class/powercap/intel-rapl:0/energy_uj")]);
  await set("intel-rapl:1", "no number");
  assert.equal(await energyCounters(sys), null);
});

test("a counter that went round goes on counting", async (t) => {
  const { sys, set } = await fakeSys(t);
  await set("intel-rapl:0", 9_000_000, 10_000_000);
  const joules = await startEnergyMeter(sys);
  await set("intel-rapl:0", 500_000, 10_000_000);
  assert.equal(await joules(), 1.5);
});

test("without a counter, or one that can't be read, energy is unavailable, not zero", async (t) => {
  const { sys, set } = await fakeSys(t);
  assert.equal(await (await startEnergyMeter(sys))(), null);
  await set("intel-rapl:0", "no number");
  assert.equal(await (await startEnergyMeter(sys))(), null);
  await set("intel-rapl:0", 5);
  const joules = await startEnergyMeter(sys);
  await rm(join(sys, "class"), { recursive: true });
  assert.equal(await joules(), null);
});

test("power is the energy over the time that passed, and unknown where there is no counter", async (t) => {
  const { sys, set } = await fakeSys(t);
  let nowMs = 0;
  assert.equal(await (await startPowerMeter(sys, () => nowMs))(), null);
  await set("intel-rapl:0", 1_000_000);
  const watts = await startPowerMeter(sys, () => nowMs);
  assert.equal(await watts(), null);
  nowMs = 500;
  await set("intel-rapl:0", 7_000_000);
  assert.equal(await watts(), 12);
});
