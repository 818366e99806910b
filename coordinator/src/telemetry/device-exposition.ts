import { Exposition } from "./exposition.ts";
import type { DeviceTelemetry } from "./fleet-telemetry.ts";
import { writeServing } from "./serving-families.ts";

/** One device's `/devices/<id>/metrics`, as it last told. Names of their own, so that a sum over all jobs counts once. */
export function writeDevice({ snapshot, receivedAtMs }: DeviceTelemetry): string {
  const exposition = new Exposition();
  const labels = { variant: snapshot.variant?.name ?? "none" };
  writeServing(exposition, "espalier_device_", [{ labels, counters: snapshot, serving: [snapshot] }]);
  exposition.gauge("espalier_device_snapshot_timestamp_seconds", "When the device's last snapshot arrived.", [
    { labels: {}, value: receivedAtMs / 1000 },
  ]);
  return exposition.text();
}
