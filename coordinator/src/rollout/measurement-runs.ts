import type { Digest } from "@espalier/shared/contracts/digest";
import { messageOf } from "@espalier/shared/errors";
import type { DeviceFact } from "./decide/facts.ts";

/** The measurements that rollouts asked for, so that a device is not asked twice while it measures. */
export interface MeasurementRuns {
  /** Starts measuring devices with a kit; those that measure already are left alone. */
  start(deviceIds: readonly string[], kitDigest: Digest): void;
  standing(deviceId: string, kitDigest: Digest): DeviceFact["measurement"];
}

/**
 * @param parts.measure resolves when the device's new profile is stored, rejects with the reason why there is none
 * @param parts.onEnded told after each device
 */
export function createMeasurementRuns(parts: {
  measure: (deviceId: string, kitDigest: Digest) => Promise<unknown>;
  onEnded: () => void;
}): MeasurementRuns {
  const runs = new Map<string, { kitDigest: Digest; standing: DeviceFact["measurement"] }>();

  async function run(deviceId: string, kitDigest: Digest): Promise<void> {
    runs.set(deviceId, { kitDigest, standing: { state: "running", message: "" } });
    try {
      await parts.measure(deviceId, kitDigest);
      runs.delete(deviceId);
    } catch (error) {
      runs.set(deviceId, { kitDigest, standing: { state: "failed", message: messageOf(error) } });
    }
    parts.onEnded();
  }

  return {
    start(deviceIds, kitDigest) {
      for (const deviceId of deviceIds) {
        if (runs.get(deviceId)?.standing.state !== "running") void run(deviceId, kitDigest);
      }
    },
    standing(deviceId, kitDigest) {
      const run = runs.get(deviceId);
      return run !== undefined && run.kitDigest === kitDigest ? run.standing : { state: "idle", message: "" };
    },
  };
}
