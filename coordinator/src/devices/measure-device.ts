import type { Digest } from "@espalier/shared/contracts/digest";
import { type DeviceProfile, Measurements } from "@espalier/shared/contracts/profile";
import { EspalierError } from "@espalier/shared/errors";
import type { MeasurementItem } from "@espalier/shared/generated/espalier/v1/MeasurementItem";
import type { MeasurementUpdate__Output } from "@espalier/shared/generated/espalier/v1/MeasurementUpdate";
import { fromDocument } from "@espalier/shared/grpc";
import type { SessionHub } from "../grpc/session/hub.ts";
import { findDevice } from "../store/devices.ts";
import { recordEvent } from "../store/events.ts";
import type { Store } from "../store/open.ts";
import { findProfile, saveProfile } from "../store/profiles.ts";
import { staleReason } from "./decide/stale-profile.ts";
import { measuredProfile } from "./measured-profile.ts";
import { mergeMeasurements } from "./merge-measurements.ts";

/** How a measurement of a device stands; the last of a run is `succeeded`, `failed` or `cancelled`. */
export interface MeasureProgress {
  readonly deviceId: string;
  readonly state: "waiting" | "running" | "succeeded" | "failed" | "cancelled";
  readonly message: string;
  /** 0..1 */
  readonly fraction: number;
  /** With `succeeded`: what was measured now; the device's profile has been updated with it. */
  readonly measurements: Measurements | null;
}

/** Measures devices and keeps their profiles. Runs of one device follow one another. */
export interface DeviceMeasurer {
  /**
   * The standard suite: memory bandwidth, disk, download and the kit's graphs. Asked for twice at once, e.g. by a plan while a
   * device with a new budget is measured by itself, it runs once; keeping a device busy is done for each that asked.
   * @param options.reason kept in the profile
   * @param options.sustainedSeconds how long to keep the device busy as well, to see whether it gets slower
   * @throws {EspalierError} `device.unknown`, `device.offline`; the signal's reason
   */
  withKit(
    deviceId: string,
    kitDigest: Digest,
    signal: AbortSignal,
    options?: { reason?: string; sustainedSeconds?: number },
  ): AsyncIterable<MeasureProgress>;
  /** Times a built variant by the serving path without activating it. */
  withVariant(
    deviceId: string,
    run: { artifactDigest: Digest; promptTokens: number; outputTokens: number },
    signal: AbortSignal,
  ): AsyncIterable<MeasureProgress>;
}

const stateNames: Readonly<Record<MeasurementUpdate__Output["state"], MeasureProgress["state"]>> = {
  STATE_UNSPECIFIED: "running",
  STATE_WAITING: "waiting",
  STATE_RUNNING: "running",
  STATE_SUCCEEDED: "succeeded",
  STATE_FAILED: "failed",
  STATE_CANCELLED: "cancelled",
};

export function createDeviceMeasurer(parts: {
  store: Store;
  hub: Pick<SessionHub, "measure">;
  /** Makes sure that devices can fetch a kit or variant. */
  putArtifact: (digest: Digest) => Promise<void>;
  /** Makes sure that the objects for timing downloads are there. */
  putDownloadProbe: () => Promise<Digest[]>;
  now: () => number;
}): DeviceMeasurer {
  const { store, hub, now } = parts;
  /** The end of the last run asked for, by device. */
  const lastRun = new Map<string, Promise<void>>();

  async function* run(
    deviceId: string,
    items: MeasurementItem[],
    signal: AbortSignal,
    options: { reason?: string | undefined; isDone?: () => Promise<Measurements | null> } = {},
  ): AsyncGenerator<MeasureProgress> {
    const { reason, isDone = async () => null } = options;
    if ((await findDevice(store.db, deviceId)) === null) {
      throw new EspalierError("device.unknown", `there is no device ${deviceId}`, { fields: { deviceId } });
    }
    const before = lastRun.get(deviceId);
    const { promise, resolve } = Promise.withResolvers<void>();
    lastRun.set(deviceId, promise);
    try {
      if (before !== undefined) {
        yield {
          deviceId,
          state: "waiting",
          message: "another measurement goes first",
          fraction: 0,
          measurements: null,
        };
        await before;
        const measurements = await isDone();
        if (measurements !== null) {
          yield { deviceId, state: "succeeded", message: "measured meanwhile", fraction: 1, measurements };
          return;
        }
      }
      let startedAtMs: number | null = null;
      for await (const update of hub.measure(deviceId, items, signal)) {
        if (update.state !== "STATE_WAITING") startedAtMs ??= now();
        yield await applied(deviceId, update, { reason, measuringMs: now() - (startedAtMs ?? now()) });
      }
    } finally {
      resolve();
      if (lastRun.get(deviceId) === promise) lastRun.delete(deviceId);
    }
  }

  async function applied(
    deviceId: string,
    update: MeasurementUpdate__Output,
    run: { reason: string | undefined; measuringMs: number },
  ): Promise<MeasureProgress> {
    const { message, fraction } = update;
    const state = stateNames[update.state];
    const progress = { deviceId, state, message, fraction, measurements: null };
    if (state !== "succeeded") return progress;
    if (update.measurements === null) {
      return { ...progress, state: "failed", message: "the device reported success without measurements" };
    }
    const measurements = fromDocument(update.measurements, Measurements);
    await keep(deviceId, measurements, run);
    return { ...progress, measurements };
  }

  async function keep(
    deviceId: string,
    measurements: Measurements,
    { reason, measuringMs }: { reason: string | undefined; measuringMs: number },
  ): Promise<void> {
    await store.inTransaction(async (transaction) => {
      const device = await findDevice(transaction, deviceId);
      if (device === null || device.inventory === null || device.budget === null || device.enforcement === null) return;
      const before = await findProfile(transaction, deviceId);
      const profile: DeviceProfile = {
        schemaVersion: 1,
        deviceId,
        measuredAtMs: now(),
        version: (before?.version ?? 0) + 1,
        reason:
          reason ??
          (before === null ? "never measured before" : (staleReason(before, device) ?? "somebody or a plan asked")),
        measuringSeconds: measuringMs / 1000,
        inventory: device.inventory,
        budget: device.budget,
        enforcement: device.enforcement,
        measurements: mergeMeasurements(before, device, measurements),
      };
      await saveProfile(transaction, profile);
      await recordEvent(transaction, {
        atMs: now(),
        deviceId,
        kind: "device.measured",
        message: `measured: ${profile.reason}`,
      });
    });
  }

  return {
    async *withKit(deviceId, kitDigest, signal, { reason, sustainedSeconds = 0 } = {}) {
      await parts.putArtifact(kitDigest);
      const digests = await parts.putDownloadProbe();
      const items: MeasurementItem[] = [
        { memoryBandwidth: {} },
        { diskWrite: {} },
        { download: { digests } },
        { kit: { kitDigest, sustainedSeconds } },
      ];
      const askedAtMs = now();
      const isDone = async (): Promise<Measurements | null> => {
        const device = sustainedSeconds > 0 ? null : await findDevice(store.db, deviceId);
        const profile = device === null ? null : await measuredProfile(store.db, device, { digest: kitDigest });
        return profile !== null && profile.measuredAtMs >= askedAtMs ? profile.measurements : null;
      };
      yield* run(deviceId, items, signal, { reason, isDone });
    },
    async *withVariant(deviceId, variant, signal) {
      await parts.putArtifact(variant.artifactDigest);
      yield* run(deviceId, [{ variant }], signal);
    },
  };
}
