import type { DeviceProfile } from "@espalier/shared/contracts/profile";

/**
 * Devices that can be expected to behave alike: equal processor, cores and owner's budget. A label of metrics, so it
 * stays readable and its values are as few as there are kinds of devices.
 */
export function deviceClass({ inventory, budget }: Pick<DeviceProfile, "inventory" | "budget">): string {
  return withBudget(processorName(inventory), inventory, budget);
}

/** `deviceClass` for many devices of few processors. */
export function createClassifier(): typeof deviceClass {
  const names = new Map<string, string>();
  return ({ inventory, budget }) => {
    let name = names.get(inventory.cpuModel);
    if (name === undefined) {
      name = processorName(inventory);
      names.set(inventory.cpuModel, name);
    }
    return withBudget(name, inventory, budget);
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

function withBudget(processor: string, inventory: DeviceProfile["inventory"], budget: DeviceProfile["budget"]): string {
  let name = `${processor || inventory.architecture}-${inventory.logicalCores}c-${budget.threads}t`;
  if (budget.cpuQuota !== null) name += `-quota${budget.cpuQuota}`;
  if (budget.memoryBytes !== null) name += `-mem${Math.round(budget.memoryBytes / 2 ** 20)}m`;
  if (budget.diskBytes !== null) name += `-disk${Math.round(budget.diskBytes / 2 ** 20)}m`;
  return name;
}
