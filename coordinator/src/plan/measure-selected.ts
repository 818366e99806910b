import { setTimeout as sleep } from "node:timers/promises";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { messageOf } from "@espalier/shared/errors";
import type { DeviceMeasurer } from "../devices/measure-device.ts";
import { measuredProfile } from "../devices/measured-profile.ts";
import { listDevices, type StoredDevice } from "../store/devices.ts";
import type { StoredKit } from "../store/kits.ts";
import type { Store } from "../store/open.ts";
import { selectDevices } from "./planner.ts";

export interface MeasureSelected {
  store: Store;
  measurer: Pick<DeviceMeasurer, "withKit">;
  isOnline: (deviceId: string) => boolean;
  now: () => number;
}

/** A device enrolled this lately is about to connect; a plan asked for right after waits for it, but not for long. */
const justEnrolledMs = 60_000;
const connectWithinMs = 10_000;
const lookAgainMs = 100;

/**
 * Measures the selected devices that are online and were not measured with this kit under their present budget. One
 * that can't be measured is left out; the plan lists it.
 * @param tell `fraction` of all devices' measuring, 0..1
 */
export async function measureSelected(
  parts: MeasureSelected,
  request: {
    spec: Pick<RolloutSpec, "selector">;
    kit: StoredKit;
    signal: AbortSignal;
    tell: (message: string, fraction: number) => void;
  },
): Promise<void> {
  const { store, measurer, isOnline } = parts;
  const { spec, kit, signal, tell } = request;
  const due: StoredDevice[] = [];
  await newDevicesConnect(parts, spec, signal);
  for (const device of selectDevices(await listDevices(store.db), spec)) {
    if (isOnline(device.id) && (await measuredProfile(store.db, device, kit)) === null) due.push(device);
  }
  const fractions = new Map(due.map(({ id }) => [id, 0]));
  const progress = ({ id, name }: StoredDevice, message: string, fraction: number) => {
    fractions.set(id, fraction);
    tell(`${name}: ${message}`, [...fractions.values()].reduce((sum, value) => sum + value, 0) / fractions.size);
  };
  await Promise.all(
    due.map(async (device) => {
      try {
        for await (const { state, message, fraction } of measurer.withKit(device.id, kit.digest, signal)) {
          progress(device, `${state} ${message}`.trimEnd(), fraction);
        }
      } catch (error) {
        signal.throwIfAborted();
        progress(device, `not measured: ${messageOf(error)}`, 1);
      }
    }),
  );
}

async function newDevicesConnect(
  { store, isOnline, now }: MeasureSelected,
  spec: Pick<RolloutSpec, "selector">,
  signal: AbortSignal,
): Promise<void> {
  const untilMs = now() + connectWithinMs;
  const devices = selectDevices(await listDevices(store.db), spec);
  const fresh = devices.filter(({ createdAtMs }) => now() - createdAtMs < justEnrolledMs);
  while (fresh.some(({ id }) => !isOnline(id)) && now() < untilMs) await sleep(lookAgainMs, undefined, { signal });
}
