import type { TelemetrySnapshot } from "@espalier/shared/contracts/telemetry";
import { addCounters, type Counters, servedBetween, zeroCounters } from "./decide/counters.ts";

/** The last that a device told, and when it arrived by our clock (a device's own clock may be wrong). */
export interface DeviceTelemetry {
  snapshot: TelemetrySnapshot;
  deviceClass: string;
  receivedAtMs: number;
}

/** All devices of one class that serve or served one variant. */
export interface TelemetryGroup {
  deviceClass: string;
  variant: string;
  counters: Counters;
  /** The last snapshots of devices that serve it now and are not stale. */
  serving: readonly TelemetrySnapshot[];
}

/** Classes and variants that a fleet may have before the rest is counted as `other`, so that labels stay bounded. */
const maxGroups = 500;
const other = "other";

/**
 * The fleet's telemetry by device class and variant.
 * INVARIANT: a group's counters never go backwards, whatever devices restart, change variant or leave.
 */
export class FleetTelemetry {
  readonly #devices = new Map<string, DeviceTelemetry>();
  readonly #groups = new Map<string, { deviceClass: string; variant: string; counters: Counters }>();
  readonly #staleAfterMs: number;

  constructor({ staleAfterMs }: { staleAfterMs: number }) {
    this.#staleAfterMs = staleAfterMs;
  }

  /** Adds what is new in a snapshot. Repeats add nothing; one older than the last is ignored. */
  apply(snapshot: TelemetrySnapshot, deviceClass: string, receivedAtMs: number): void {
    const last = this.#devices.get(snapshot.deviceId);
    if (last !== undefined && isOlder(snapshot, last.snapshot)) return;
    const group = this.#group(deviceClass, snapshot.variant?.name ?? "none");
    group.counters = addCounters(group.counters, servedBetween(last?.snapshot ?? null, snapshot));
    this.#devices.set(snapshot.deviceId, { snapshot, deviceClass, receivedAtMs });
  }

  /** A device that was revoked is gone; what it served stays counted. */
  forget(deviceId: string): void {
    this.#devices.delete(deviceId);
  }

  device(deviceId: string): DeviceTelemetry | undefined {
    return this.#devices.get(deviceId);
  }

  isStale({ receivedAtMs }: DeviceTelemetry, nowMs: number): boolean {
    return nowMs - receivedAtMs > this.#staleAfterMs;
  }

  groups(nowMs: number): TelemetryGroup[] {
    const serving = new Map<string, TelemetrySnapshot[]>();
    for (const device of this.#devices.values()) {
      if (this.isStale(device, nowMs) || device.snapshot.variant === null) continue;
      const key = this.#keyOf(device.deviceClass, device.snapshot.variant.name);
      serving.set(key, [...(serving.get(key) ?? []), device.snapshot]);
    }
    return [...this.#groups].map(([key, group]) => ({ ...group, serving: serving.get(key) ?? [] }));
  }

  #group(deviceClass: string, variant: string) {
    const key = this.#keyOf(deviceClass, variant);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const bounded = key === keyOf(other, other);
    const group = {
      deviceClass: bounded ? other : deviceClass,
      variant: bounded ? other : variant,
      counters: zeroCounters(),
    };
    this.#groups.set(key, group);
    return group;
  }

  #keyOf(deviceClass: string, variant: string): string {
    const key = keyOf(deviceClass, variant);
    return this.#groups.has(key) || this.#groups.size < maxGroups ? key : keyOf(other, other);
  }
}

function keyOf(deviceClass: string, variant: string): string {
  return JSON.stringify([deviceClass, variant]);
}

function isOlder(snapshot: TelemetrySnapshot, last: TelemetrySnapshot): boolean {
  return snapshot.startedAtMs === last.startedAtMs && snapshot.atMs < last.atMs;
}
