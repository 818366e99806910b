import type { Budget, DeviceProfile, Inventory } from "@espalier/shared/contracts/profile";

/** What firmware and kernel keep for themselves varies a little from version to version (ours: 2 %). */
const memoryTolerance = 0.02;

/** Why a profile no longer says what its device does; null when it still does. @param device as it described itself last */
export function staleReason(
  profile: Pick<DeviceProfile, "inventory" | "budget">,
  device: { inventory: Inventory | null; budget: Budget | null },
): string | null {
  const { inventory: now, budget } = device;
  const before = profile.inventory;
  if (budget !== null && !sameBudget(budget, profile.budget)) return "its owner gave it another budget";
  if (now === null) return null;
  if (now.cpuModel !== before.cpuModel || now.architecture !== before.architecture) {
    return `its processor was ${before.cpuModel}, now ${now.cpuModel}`;
  }
  if (now.logicalCores !== before.logicalCores) return `it had ${before.logicalCores} cores, now ${now.logicalCores}`;
  if (sorted(now.instructionSets) !== sorted(before.instructionSets)) return "its instruction sets changed";
  if (Math.abs(now.memoryTotalBytes / before.memoryTotalBytes - 1) > memoryTolerance) return "its memory changed";
  if (now.onnxruntimeVersion !== before.onnxruntimeVersion) {
    return `its runtime was onnxruntime ${before.onnxruntimeVersion}, now ${now.onnxruntimeVersion}`;
  }
  if (now.agentVersion !== before.agentVersion) {
    return `its agent was ${before.agentVersion}, now ${now.agentVersion}`;
  }
  const powers = [before.powerSource, now.powerSource];
  if (!powers.includes("unknown") && now.powerSource !== before.powerSource) {
    return `it ran on ${before.powerSource}, now on ${now.powerSource}`;
  }
  return null;
}

function sameBudget(a: Budget, b: Budget): boolean {
  return (
    a.threads === b.threads &&
    a.cpuQuota === b.cpuQuota &&
    a.memoryBytes === b.memoryBytes &&
    a.diskBytes === b.diskBytes
  );
}

function sorted(names: readonly string[]): string {
  return [...names].sort().join();
}
