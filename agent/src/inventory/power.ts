import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { MachineState } from "@espalier/shared/contracts/telemetry";

const readText = async (path: string): Promise<string | null> => {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch {
    return null;
  }
};
const list = async (path: string): Promise<string[]> => readdir(path).catch(() => []);

/** What feeds the machine, from /sys/class/power_supply: an online mains supply wins over a battery. */
export async function readPowerSource(sys: string): Promise<"mains" | "battery" | "unknown"> {
  const folder = join(sys, "class/power_supply");
  let battery = false;
  for (const name of await list(folder)) {
    const type = await readText(join(folder, name, "type"));
    if (type === "Mains" && (await readText(join(folder, name, "online"))) === "1") return "mains";
    battery ||= type === "Battery" && (await readText(join(folder, name, "scope"))) !== "Device";
  }
  return battery ? "battery" : "unknown";
}

/** The hottest thermal zone; null where there is none. */
export async function readThermalCelsius(sys: string): Promise<number | null> {
  const folder = join(sys, "class/thermal");
  const celsius: number[] = [];
  for (const name of await list(folder)) {
    if (!name.startsWith("thermal_zone")) continue;
    const milli = Number((await readText(join(folder, name, "temp"))) ?? Number.NaN);
    if (Number.isFinite(milli) && milli > 0) celsius.push(milli / 1000);
  }
  return celsius.length === 0 ? null : Math.max(...celsius);
}

/** Whether a cooling device of the kernel's holds processors back now; null where it has none. */
async function readThrottled(sys: string): Promise<boolean | null> {
  const folder = join(sys, "class/thermal");
  const levels: number[] = [];
  for (const name of await list(folder)) {
    const type = (await readText(join(folder, name, "type"))) ?? "";
    if (!name.startsWith("cooling_device") || !/processor|cpufreq/i.test(type)) continue;
    levels.push(Number((await readText(join(folder, name, "cur_state"))) ?? Number.NaN));
  }
  const known = levels.filter(Number.isFinite);
  return known.length === 0 ? null : known.some((level) => level > 0);
}

/** Times that cores were slowed down for heat, as x86 counts them; null where nothing counts. */
async function readThrottles(sys: string): Promise<number | null> {
  const folder = join(sys, "devices/system/cpu");
  const counts: number[] = [];
  for (const name of await list(folder)) {
    const text = await readText(join(folder, name, "thermal_throttle/core_throttle_count"));
    if (text !== null && Number.isInteger(Number(text))) counts.push(Number(text));
  }
  return counts.length === 0 ? null : counts.reduce((sum, count) => sum + count, 0);
}

/** What may slow the machine down now. */
export async function readMachineState(sys: string): Promise<MachineState> {
  const [powerSource, thermalCelsius] = [await readPowerSource(sys), await readThermalCelsius(sys)];
  return { powerSource, thermalCelsius, throttled: await readThrottled(sys), throttles: await readThrottles(sys) };
}
