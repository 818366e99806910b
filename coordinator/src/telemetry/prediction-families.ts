import type { Plan } from "@espalier/shared/contracts/plan";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import type { Exposition, Labels } from "./exposition.ts";

/** A device's predicted and proven median time per output token, of the variant it took in its last rollout. */
interface Compared {
  deviceClass: string;
  variant: string;
  predictedMs: number;
  measuredMs: number;
}

/**
 * Predicted against measured time per output token, mean per device class and variant, from the newest rollout of each
 * device. @param rollouts newest first
 */
export function writePredictions(exposition: Exposition, rollouts: readonly RolloutState[]): void {
  const groups = new Map<string, { labels: Labels; rows: Compared[] }>();
  for (const row of comparisons(rollouts)) {
    const labels = { device_class: row.deviceClass, variant: row.variant };
    const group = groups.get(JSON.stringify(labels)) ?? { labels, rows: [] as Compared[] };
    group.rows.push(row);
    groups.set(JSON.stringify(labels), group);
  }
  const mean = (of: (row: Compared) => number) =>
    [...groups.values()].map(({ labels, rows }) => ({
      labels,
      value: rows.reduce((sum, row) => sum + of(row), 0) / rows.length,
    }));
  exposition
    .gauge(
      "espalier_predicted_time_per_output_token_seconds",
      "Time per output token that the plan predicted, mean over devices.",
      mean(({ predictedMs }) => predictedMs / 1000),
    )
    .gauge(
      "espalier_measured_time_per_output_token_seconds",
      "Median time per output token that devices measured when they proved the variant, mean over devices.",
      mean(({ measuredMs }) => measuredMs / 1000),
    )
    .gauge(
      "espalier_prediction_error_ratio",
      "How far the measured time per output token is from the predicted one, relative to it, mean over devices.",
      mean(({ predictedMs, measuredMs }) => Math.abs(measuredMs / predictedMs - 1)),
    );
}

function comparisons(rollouts: readonly RolloutState[]): Compared[] {
  const seen = new Set<string>();
  const rows: Compared[] = [];
  for (const { plan, devices } of rollouts) {
    const planned = new Map<string, Plan["devices"][number]>(plan?.devices.map((device) => [device.deviceId, device]));
    for (const { deviceId, phase, proof } of devices) {
      const choice = planned.get(deviceId)?.choice;
      if (phase !== "active" || seen.has(deviceId) || !choice || !proof?.timing) continue;
      seen.add(deviceId);
      rows.push({
        deviceClass: planned.get(deviceId)?.deviceClass ?? "",
        variant: choice.variantName,
        predictedMs: choice.prediction.tpotMs.value,
        measuredMs: proof.timing.tpotMs.median,
      });
    }
  }
  return rows;
}
