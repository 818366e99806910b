import type { DeviceProfile } from "@espalier/shared/contracts/profile";

/**
 * Devices that can be expected to behave alike: equal processor, cores and owner's budget. A label of metrics, so it
 * stays readable and its values are as few as there are kinds of devices.
 */
export function deviceClass({ inventory, budget }: Pick<DeviceProfile, "inventory" | "budget">): string {
  return withCapacities(hardwareName(processorName(inventory), inventory, budget), budget);
}

/** Without memory and disk: what devices are alike in speed. */
export function hardwareClass({ inventory, budget }: Pick<DeviceProfile, "inventory" | "budget">): string {
  return hardwareName(processorName(inventory), inventory, budget);
}

/** Both for many devices of few processors. */
export function createClassifier(): (profile: Pick<DeviceProfile, "inventory" | "budget">) => {
  hardwareClass: string;
  deviceClass: string;
} {
  const names = new Map<string, string>();
  const classes = new Map<string, { hardwareClass: string; deviceClass: string }>();
  return ({ inventory, budget }) => {
    let name = names.get(inventory.cpuModel);
    if (name === undefined) {
      name = processorName(inventory);
      names.set(inventory.cpuModel, name);
    }
    const hardware = hardwareName(name, inventory, budget);
    const device = withCapacities(hardware, budget);
    let known = classes.get(device);
    if (known === undefined) {
      known = { hardwareClass: hardware, deviceClass: device };
      classes.set(device, known);
    }
    return known;
  };
}

/** Empty where the model names nothing. */
function processorName({ cpuModel }: DeviceProfile["inventory"]): string {
  return cpuModel
    .toLowerCase()
    .replace(/\((r|tm)\)|\bcpu\b|@.*$/g, " ")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40);
}

function hardwareName(
  processor: string,
  { architecture, logicalCores }: DeviceProfile["inventory"],
  { threads, cpuQuota }: DeviceProfile["budget"],
): string {
  const quota = cpuQuota === null ? "" : `-quota${cpuQuota}`;
  return `${processor || architecture}-${logicalCores}c-${threads}t${quota}`;
}

function withCapacities(hardware: string, { memoryBytes, diskBytes }: DeviceProfile["budget"]): string {
  const memory = memoryBytes === null ? "" : `-mem${Math.round(memoryBytes / 2 ** 20)}m`;
  const disk = diskBytes === null ? "" : `-disk${Math.round(diskBytes / 2 ** 20)}m`;
  return `${hardware}${memory}${disk}`;
}
