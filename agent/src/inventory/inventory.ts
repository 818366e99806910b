import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { arch, cpus, hostname, release, type } from "node:os";
import { join } from "node:path";
import type { Inventory } from "@espalier/shared/contracts/profile";
import type { ControlGroups } from "../budget/control-groups.ts";
import { freeBytes } from "../download/disk-usage.ts";
import { energyCounters } from "../measure/energy-meter.ts";
import { readCpuInfo } from "./cpu.ts";
import { cgroupMemoryLimitBytes, readMeminfo } from "./memory.ts";
import { readPowerSource, readThermalCelsius } from "./power.ts";

export interface InventoryDeps {
  /** The data folder, whose file system counts. */
  readonly dataRoot: string;
  readonly groups: ControlGroups;
  readonly agentVersion: string;
  /** `/proc` and `/sys`, or copies of them in tests. */
  readonly proc: string;
  readonly sys: string;
}

/** What the machine is and has now. What can't be read is null or empty; never rejects for a missing file. */
export async function readInventory(deps: InventoryDeps): Promise<Inventory> {
  const text = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
  const cpu = readCpuInfo(await text(join(deps.proc, "cpuinfo")));
  const memory = readMeminfo(await text(join(deps.proc, "meminfo")));
  const limitBytes = (await cgroupMemoryLimitBytes(deps.groups)) ?? Number.POSITIVE_INFINITY;
  return {
    hostname: hostname(),
    hostId: await readHostId(deps.proc),
    architecture: arch(),
    os: `${type()} ${release()}`,
    cpuModel: cpu.model ?? cpus()[0]?.model ?? "unknown",
    logicalCores: Math.max(1, cpus().length),
    instructionSets: cpu.instructionSets,
    memoryTotalBytes: Math.min(memory.totalBytes, limitBytes),
    memoryAvailableBytes: Math.min(memory.availableBytes, limitBytes),
    diskFreeBytes: await freeBytes(deps.dataRoot),
    executionProviders: ["CPUExecutionProvider"],
    onnxruntimeVersion: onnxruntimeVersion(),
    agentVersion: deps.agentVersion,
    powerSource: await readPowerSource(deps.sys),
    thermalCelsius: await readThermalCelsius(deps.sys),
    energyCounter: (await energyCounters(deps.sys))?.join(", ") ?? null,
  };
}

/** Equal for all agents of a host: the machine id, else the id of this boot, else the host name. */
export async function readHostId(proc: string): Promise<string> {
  for (const path of ["/etc/machine-id", join(proc, "sys/kernel/random/boot_id")]) {
    const id = (await readFile(path, "utf8").catch(() => "")).trim();
    if (id !== "") return id;
  }
  return hostname();
}

/** Of the installed package: loading the runtime itself just to ask would cost tens of megabytes. */
function onnxruntimeVersion(): string {
  const { version }: { version: string } = createRequire(import.meta.url)("onnxruntime-node/package.json");
  return version;
}
