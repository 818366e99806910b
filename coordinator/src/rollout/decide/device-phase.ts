import type { DevicePhase, RolloutDevice } from "@espalier/shared/contracts/rollout-state";
import type { DeviceFact } from "./facts.ts";

const waitingPhases: readonly DevicePhase[] = ["pending", "assigned", "working"];

/** Whether the device has reached an end in its wave. */
export function isSettled(device: RolloutDevice): boolean {
  return !waitingPhases.includes(device.phase);
}

/** Whether the device was told to change and has not said how it went. */
export function isInFlight(device: RolloutDevice): boolean {
  return device.phase === "assigned" || device.phase === "working";
}

/**
 * Where an assigned device stands by what it said. Only a report of the very generation and artifact that this rollout
 * assigned counts; others are of the past. The deadline settles a device that never answers.
 */
export function observe(
  device: RolloutDevice,
  fact: DeviceFact | undefined,
  { rolloutId, deadlineMs, nowMs }: { rolloutId: string; deadlineMs: number; nowMs: number },
): RolloutDevice {
  if (isSettled(device) || device.phase === "pending") return device;
  if (fact === undefined) return { ...device, phase: "offline", reason: "the device is no longer enrolled" };
  const { assignment, report } = fact;
  if (assignment !== null && assignment.rolloutId !== rolloutId) {
    return {
      ...device,
      phase: "skipped",
      reason: `rollout ${assignment.rolloutId ?? "(none)"} gave the device another assignment`,
    };
  }
  const answers =
    assignment !== null &&
    report.generation.epoch === assignment.generation.epoch &&
    report.generation.n === assignment.generation.n &&
    report.artifactDigest === device.artifactDigest;
  if (answers && report.state === "active")
    return {
      ...device,
      phase: "active",
      progress: "serving",
      reason: device.rung === 0 ? "" : device.reason,
      proof: report.proof,
    };
  if (answers && report.state === "failed") {
    return {
      ...device,
      phase: "failed",
      progress: "",
      reason: report.reason || "the variant did not prove itself",
      proof: report.proof,
    };
  }
  if (nowMs - (device.assignedAtMs ?? nowMs) > deadlineMs) {
    const seen = fact.online ? "connected, but reached no end" : "offline";
    return { ...device, phase: "offline", reason: `${seen} within ${Math.round(deadlineMs / 1000)} s` };
  }
  return answers ? { ...device, ...workingOn(device, report, nowMs) } : device;
}

function workingOn(
  device: RolloutDevice,
  report: DeviceFact["report"],
  nowMs: number,
): Pick<RolloutDevice, "phase" | "progress"> {
  if (report.state === "downloading") return { phase: "working", progress: downloadText(device, report, nowMs) };
  if (report.state === "verifying" || report.state === "proving") return { phase: "working", progress: report.state };
  return { phase: "assigned", progress: "" };
}

const mib = 2 ** 20;

/** Bytes, mean rate since the assignment, and time left at that rate. Time alone changes nothing: every text is a write. */
function downloadText(device: RolloutDevice, report: DeviceFact["report"], nowMs: number): string {
  const { downloadedBytes, totalBytes } = report;
  const amount = `downloading ${(downloadedBytes / mib).toFixed(1)} of ${(totalBytes / mib).toFixed(1)} MiB`;
  if (device.progress.startsWith(amount)) return device.progress;
  const elapsedMs = nowMs - (device.assignedAtMs ?? nowMs);
  if (elapsedMs <= 0 || downloadedBytes === 0) return amount;
  const bytesPerSecond = downloadedBytes / (elapsedMs / 1000);
  const leftSeconds = Math.ceil(Math.max(0, totalBytes - downloadedBytes) / bytesPerSecond);
  return `${amount}, ${(bytesPerSecond / mib).toFixed(1)} MiB/s, ${leftSeconds} s left`;
}
