import type { Digest } from "@espalier/shared/contracts/digest";
import { hasCode, messageOf } from "@espalier/shared/errors";
import type { DeviceMeasurer } from "../devices/measure-device.ts";
import type { DeviceFact } from "./decide/facts.ts";

/** The measurements that rollouts asked for, so that a device is not asked twice while it measures. */
export interface MeasurementRuns {
  /** Starts measuring devices with a kit; those that measure already are left alone. */
  start(deviceIds: readonly string[], kitDigest: Digest): void;
  standing(deviceId: string, kitDigest: Digest): DeviceFact["measurement"];
  /** A new rollout tries devices again that could not be measured for an earlier one. */
  forgetFailures(): void;
  stop(): Promise<void>;
}

const idle: DeviceFact["measurement"] = { state: "idle", message: "" };

/** @param parts.onEnded told after each device */
export function createMeasurementRuns(parts: {
  measurer: Pick<DeviceMeasurer, "withKit">;
  onEnded: () => void;
}): MeasurementRuns {
  const runs = new Map<string, { kitDigest: Digest; standing: DeviceFact["measurement"]; ended: Promise<void> }>();
  const ending = new AbortController();

  /** @returns the reason of a failure */
  async function measure(deviceId: string, kitDigest: Digest): Promise<string | null> {
    let last = "the device said nothing";
    for await (const { state, message } of parts.measurer.withKit(deviceId, kitDigest, ending.signal)) {
      if (state === "succeeded") return null;
      last = `measuring ${state}: ${message}`;
    }
    return last;
  }

  async function run(deviceId: string, kitDigest: Digest): Promise<void> {
    try {
      const failure = await measure(deviceId, kitDigest);
      if (failure === null) runs.delete(deviceId);
      else fail(deviceId, kitDigest, failure);
    } catch (error) {
      // A device that went away is asked again when it is back.
      if (hasCode(error, "device.offline")) runs.delete(deviceId);
      else fail(deviceId, kitDigest, messageOf(error));
    }
    parts.onEnded();
  }

  function fail(deviceId: string, kitDigest: Digest, message: string): void {
    runs.set(deviceId, { kitDigest, standing: { state: "failed", message }, ended: Promise.resolve() });
  }

  return {
    start(deviceIds, kitDigest) {
      for (const deviceId of deviceIds) {
        if (runs.get(deviceId)?.standing.state === "running") continue;
        const ended = Promise.resolve().then(() => run(deviceId, kitDigest));
        runs.set(deviceId, { kitDigest, standing: { state: "running", message: "" }, ended });
      }
    },
    standing(deviceId, kitDigest) {
      const known = runs.get(deviceId);
      return known !== undefined && known.kitDigest === kitDigest ? known.standing : idle;
    },
    forgetFailures() {
      for (const [deviceId, { standing }] of runs) if (standing.state === "failed") runs.delete(deviceId);
    },
    async stop() {
      ending.abort();
      await Promise.all([...runs.values()].map(({ ended }) => ended));
    },
  };
}
