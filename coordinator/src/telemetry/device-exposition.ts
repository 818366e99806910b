import { Exposition } from "./exposition.ts";
import type { DeviceTelemetry } from "./fleet-telemetry.ts";
import { writeServing } from "./serving-families.ts";

/** One device's `/devices/<id>/metrics`, as it last told. Names of their own, so that a sum over all jobs counts once. */
export function writeDevice({ snapshot, receivedAtMs }: DeviceTelemetry): string {
  const exposition = new Exposition();
  const labels = { variant: snapshot.variant?.name ?? "none" };
  writeServing(exposition, "espalier_device_", [{ labels, counters: snapshot, serving: [snapshot] }]);
  const { machine } = snapshot;
  const gauge = (name: string, help: string, value: number | null) =>
    exposition.gauge(`espalier_device_${name}`, help, value === null ? [] : [{ labels: {}, value }]);
  if (machine !== null) {
    const { powerSource, thermalCelsius, throttled, throttles } = machine;
    gauge("temperature_celsius", "Of the device's hottest thermal zone.", thermalCelsius);
    gauge(
      "on_battery",
      "1 on battery, 0 on mains.",
      powerSource === "unknown" ? null : Number(powerSource === "battery"),
    );
    gauge("throttled", "1 while processors are held back to stay cool.", throttled === null ? null : Number(throttled));
    gauge("throttles", "Times that processors were slowed down for heat since the machine started.", throttles);
  }
  exposition.gauge("espalier_device_snapshot_timestamp_seconds", "When the device's last snapshot arrived.", [
    { labels: {}, value: receivedAtMs / 1000 },
  ]);
  return exposition.text();
}
