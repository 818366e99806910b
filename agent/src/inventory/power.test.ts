import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { readMachineState } from "./power.ts";

/** A made-up /sys with these files. */
async function fakeSys(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const sys = await mkdtemp(join(tmpdir(), "espalier-sys-"));
  t.after(() => rm(sys, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(sys, path)), { recursive: true });
    await writeFile(join(sys, path), `${text}\n`);
  }
  return sys;
}

test("a laptop on battery that is held back says all of it", async (t) => {
  const sys = await fakeSys(t, {
    "class/power_supply/AC/type": "Mains",
    "class/power_supply/AC/online": "0",
    "class/power_supply/BAT0/type": "Battery",
    "class/thermal/thermal_zone0/temp": "61000",
    "class/thermal/thermal_zone1/temp": "93500",
    "class/thermal/cooling_device0/type": "Fan",
    "class/thermal/cooling_device0/cur_state": "5",
    "class/thermal/cooling_device1/type": "Processor",
    "class/thermal/cooling_device1/cur_state": "2",
    "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "12",
    "devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "30",
  });
  assert.deepEqual(await readMachineState(sys), {
    powerSource: "battery",
    thermalCelsius: 93.5,
    throttled: true,
    throttles: 42,
  });
});

test("a board on mains that runs freely says so; a fan that turns is no throttling", async (t) => {
  const sys = await fakeSys(t, {
    "class/power_supply/usb/type": "Mains",
    "class/power_supply/usb/online": "1",
    "class/thermal/cooling_device0/type": "pwm-fan",
    "class/thermal/cooling_device0/cur_state": "3",
    "class/thermal/cooling_device1/type": "cpufreq-cpu0",
    "class/thermal/cooling_device1/cur_state": "0",
  });
  const { powerSource, throttled, throttles } = await readMachineState(sys);
  assert.deepEqual([powerSource, throttled, throttles], ["mains", false, null]);
});

test("a machine that tells nothing is unknown", async (t) => {
  const nothing = { powerSource: "unknown", thermalCelsius: null, throttled: null, throttles: null };
  assert.deepEqual(await readMachineState(await fakeSys(t, {})), nothing);
});
