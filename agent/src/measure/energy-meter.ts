import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";

/** Joules that the machine's processors took since the meter was started; null where there is no counter to read. */
export type EnergyMeter = () => Promise<number | null>;

interface Zone {
  readonly path: string;
  readonly startMicrojoules: number;
  readonly rangeMicrojoules: number;
}

/**
 * The counters that a meter adds up, by RAPL (Intel and AMD): every `intel-rapl:N` of /sys/class/powercap, which is a whole package
 * with its cores and graphics; their sub-zones `intel-rapl:N:M` would count twice. Null where there is none, or one can't be read:
 * since 2020 kernels let only root read them (CVE-2020-8694).
 * @param sys `/sys`, or a made-up copy
 */
export async function energyCounters(sys: string): Promise<string[] | null> {
  const zones = await readZones(sys);
  return zones === null ? null : zones.map(({ path }) => path);
}

async function readZones(sys: string): Promise<Zone[] | null> {
  const folder = join(sys, "class/powercap");
  const names = await readdir(folder).catch(() => []);
  const zones: Zone[] = [];
  for (const name of names.filter((one) => /^intel-rapl:\d+$/.test(one)).sort()) {
    const path = join(folder, name, "energy_uj");
    const startMicrojoules = await readNumber(path);
    const rangeMicrojoules = await readNumber(join(folder, name, "max_energy_range_uj"));
    if (startMicrojoules === null || rangeMicrojoules === null) return null;
    zones.push({ path, startMicrojoules, rangeMicrojoules });
  }
  return zones.length === 0 ? null : zones;
}

/**
 * Starts to count. A counter that went round between two readings is taken to have done so once: at 200 W that takes 20 minutes.
 * @param sys `/sys`, or a made-up copy
 */
export async function startEnergyMeter(sys: string): Promise<EnergyMeter> {
  const zones = await readZones(sys);
  if (zones === null) return async () => null;
  return async () => {
    let microjoules = 0;
    for (const { path, startMicrojoules, rangeMicrojoules } of zones) {
      const now = await readNumber(path);
      if (now === null) return null;
      microjoules += now - startMicrojoules + (now < startMicrojoules ? rangeMicrojoules : 0);
    }
    return microjoules / 1e6;
  };
}

/** Starts to count as `startEnergyMeter` does. @returns mean power since then in W; null where there is no counter to read */
export async function startPowerMeter(
  sys: string,
  now = () => performance.now(),
): Promise<() => Promise<number | null>> {
  const energy = await startEnergyMeter(sys);
  const startedMs = now();
  return async () => {
    const joules = await energy();
    const seconds = (now() - startedMs) / 1000;
    return joules === null || seconds <= 0 ? null : joules / seconds;
  };
}

async function readNumber(path: string): Promise<number | null> {
  const text = await readFile(path, "utf8").catch(() => "");
  return /^\d+\s*$/.test(text) ? Number(text) : null;
}
