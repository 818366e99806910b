import type { Registry } from "prom-client";
import { listDevices, type StoredDevice } from "../store/devices.ts";
import { listJobs } from "../store/jobs.ts";
import type { Store } from "../store/open.ts";
import { listRollouts } from "../store/rollouts.ts";
import { Exposition, type Labels, type Sample } from "./exposition.ts";
import type { FleetTelemetry } from "./fleet-telemetry.ts";
import { writePredictions } from "./prediction-families.ts";
import { writeServing } from "./serving-families.ts";

/** Rollouts beyond the newest ones are history and no series. */
const shownRollouts = 20;

/** The coordinator's `/metrics`: the fleet by device class and variant, and what the coordinator decided. */
export async function writeFleet(parts: {
  store: Store;
  telemetry: FleetTelemetry;
  registry: Registry;
  isOnline: (deviceId: string) => boolean;
  nowMs: number;
}): Promise<string> {
  const { store, telemetry, registry, isOnline, nowMs } = parts;
  const exposition = new Exposition();
  const rows = telemetry.groups(nowMs).map(({ deviceClass, variant, counters, serving }) => ({
    labels: { device_class: deviceClass, variant },
    counters,
    serving,
  }));
  writeServing(exposition, "espalier_", rows);
  const rollouts = (await listRollouts(store.db)).slice(0, shownRollouts);
  writePredictions(exposition, rollouts);
  const devices = await listDevices(store.db);
  exposition
    .gauge(
      "espalier_devices",
      "Enrolled devices, by what they do.",
      count(devices, (device) => deviceLabels(device, isOnline)),
    )
    .gauge(
      "espalier_rollout_phase",
      "The phase of each recent rollout; always 1.",
      rollouts.map(({ rolloutId, spec, phase }) => ({
        labels: { rollout: spec.name, rollout_id: rolloutId, phase },
        value: 1,
      })),
    )
    .gauge(
      "espalier_rollout_devices",
      "Devices of recent rollouts, by where they stand.",
      rollouts.flatMap(({ rolloutId, spec, devices: all }) =>
        count(all, ({ phase }) => ({ rollout: spec.name, rollout_id: rolloutId, phase })),
      ),
    )
    .gauge(
      "espalier_build_jobs",
      "Build jobs, by kind and state.",
      count(await listJobs(store.db), ({ job, state }) => ({ kind: job.kind, state })),
    );
  return exposition.text() + (await registry.metrics());
}

function deviceLabels({ id, status }: StoredDevice, isOnline: (deviceId: string) => boolean): Labels {
  return { state: isOnline(id) ? status.state : "offline" };
}

function count<Item>(items: readonly Item[], labelsOf: (item: Item) => Labels): Sample[] {
  const samples = new Map<string, Sample>();
  for (const item of items) {
    const labels = labelsOf(item);
    const key = JSON.stringify(labels);
    samples.set(key, { labels, value: (samples.get(key)?.value ?? 0) + 1 });
  }
  return [...samples.values()];
}
