import type { DeviceProfile } from "@espalier/shared/contracts/profile";

/**
 * Devices that can be expected to behave alike: equal processor, cores and owner's budget. A label of metrics, so it
 * stays readable and its values are as few as there are kinds of devices.
 */
export function deviceClass({ inventory, budget }: Pick<DeviceProfile, "inventory" | "budget">): string {
  const parts = [
    inventory.cpuModel
      .toLowerCase()
      .replace(/\((r|tm)\)|\bcpu\b|@.*$/g, " ")
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 40) || inventory.architecture,
    `${inventory.logicalCores}c`,
    `${budget.threads}t`,
  ];
  if (budget.cpuQuota !== null) parts.push(`quota${budget.cpuQuota}`);
  if (budget.memoryBytes !== null) parts.push(`mem${Math.round(budget.memoryBytes / 2 ** 20)}m`);
  if (budget.diskBytes !== null) parts.push(`disk${Math.round(budget.diskBytes / 2 ** 20)}m`);
  return parts.join("-");
}
