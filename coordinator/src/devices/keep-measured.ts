import type { TelemetrySnapshot } from "@espalier/shared/contracts/telemetry";
import { hasCode, messageOf } from "@espalier/shared/errors";
import type { Logger } from "@espalier/shared/logging";
import { findDevice } from "../store/devices.ts";
import type { Store } from "../store/open.ts";
import { findProfile } from "../store/profiles.ts";
import { type DriftState, watchDrift } from "./decide/drift.ts";
import { staleReason } from "./decide/stale-profile.ts";
import type { DeviceMeasurer } from "./measure-device.ts";

export interface KeepMeasured {
  /** Looks at a device that connected or reported. */
  deviceChanged(deviceId: string): void;
  /** Looks at what a device serves. */
  snapshotCame(snapshot: TelemetrySnapshot): void;
  /** Cancels what is measuring. */
  stop(): Promise<void>;
}

/** A device isn't measured by itself more often than this, whatever changes (ours). */
const pauseMs = 3_600_000;
/** Snapshots are cumulative and come every few seconds: one a minute suffices. */
const snapshotEveryMs = 60_000;
/** States in which a device isn't in the middle of taking a variant. */
const settled: readonly string[] = ["new", "active", "idle", "failed"];

/**
 * Measures devices again whose profile no longer says what they do, with the kit of their profile. A device that was never
 * measured waits for a plan.
 * INVARIANT: one look of a device at a time, and between two measurements of it at least `pauseMs`.
 */
export function createKeepMeasured(parts: {
  store: Store;
  measurer: Pick<DeviceMeasurer, "withKit">;
  isOnline: (deviceId: string) => boolean;
  now: () => number;
  log: Logger;
}): KeepMeasured {
  const { store, measurer, isOnline, now, log } = parts;
  const ending = new AbortController();
  const looking = new Map<string, Promise<void>>();
  const measuredAtMs = new Map<string, number>();
  const snapshotAtMs = new Map<string, number>();
  const drifts = new Map<string, DriftState>();

  /** @param drifted what telemetry contradicts, if anything */
  async function look(deviceId: string, snapshot: TelemetrySnapshot | null): Promise<void> {
    const device = await findDevice(store.db, deviceId);
    if (device === null || device.revokedAtMs !== null || !isOnline(deviceId)) return;
    if (!settled.includes(device.status.state)) return;
    const drifted = snapshot === null ? null : driftOf(snapshot, device.status.proof?.timing ?? null);
    const profile = await findProfile(store.db, deviceId);
    const kitDigest = profile?.measurements.kit?.kitDigest;
    const reason = profile === null ? null : (staleReason(profile, device) ?? drifted);
    if (kitDigest === undefined || reason === null) return;
    measuredAtMs.set(deviceId, now());
    log.info({ deviceId, reason }, "a device is measured again");
    for await (const { state, message } of measurer.withKit(deviceId, kitDigest, ending.signal, { reason })) {
      if (state === "failed") log.warn({ deviceId, problem: message }, "measuring again failed");
    }
  }

  function driftOf(
    snapshot: TelemetrySnapshot,
    proven: { artifactDigest: string; tpotMs: { median: number } } | null,
  ): string | null {
    if (proven === null || snapshot.variant?.artifactDigest !== proven.artifactDigest) return null;
    const { state, drifted } = watchDrift(drifts.get(snapshot.deviceId), snapshot, proven.tpotMs.median);
    drifts.set(snapshot.deviceId, state);
    return drifted;
  }

  function start(deviceId: string, snapshot: TelemetrySnapshot | null): void {
    if (ending.signal.aborted || looking.has(deviceId)) return;
    if (now() - (measuredAtMs.get(deviceId) ?? -Infinity) < pauseMs) return;
    const looked = look(deviceId, snapshot)
      .catch((error: unknown) => {
        // It is looked at again when it is back.
        if (hasCode(error, "device.offline")) measuredAtMs.delete(deviceId);
        else if (!ending.signal.aborted) log.warn({ deviceId, problem: messageOf(error) }, "measuring again failed");
      })
      .finally(() => looking.delete(deviceId));
    looking.set(deviceId, looked);
  }

  return {
    deviceChanged: (deviceId) => start(deviceId, null),
    snapshotCame(snapshot) {
      const { deviceId } = snapshot;
      if (now() - (snapshotAtMs.get(deviceId) ?? -Infinity) < snapshotEveryMs) return;
      snapshotAtMs.set(deviceId, now());
      start(deviceId, snapshot);
    },
    async stop() {
      ending.abort();
      await Promise.all(looking.values());
    },
  };
}
