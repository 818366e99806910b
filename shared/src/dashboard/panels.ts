/** One chart: a title, what it tells an operator, and PromQL expressions with their legends. */
export interface Panel {
  title: string;
  /** What to read off it and when to worry. */
  description: string;
  /** Grafana's unit id. */
  unit: "s" | "bytes" | "reqps" | "percentunit" | "short" | "tps" | "joule";
  /** What no data means, where some fleets can't have any. */
  unavailable?: string;
  queries: { expression: string; legend: string }[];
}

export interface Row {
  title: string;
  panels: Panel[];
}

/** p90 over the fleet, by device class and variant: histograms of all devices add up because their buckets are equal. */
const p90 = (metric: string) =>
  `histogram_quantile(0.9, sum by (le, device_class, variant) (rate(${metric}_bucket[5m])))`;
const byClassAndVariant = "{{device_class}} {{variant}}";

/** The fleet at a glance. The source of the Grafana dashboard and of the console's charts. */
export const fleetRows: Row[] = [
  {
    title: "Latency",
    panels: [
      {
        title: "Time to first token, p90",
        description: "From a request's arrival to its first token, by device class and variant.",
        unit: "s",
        queries: [{ expression: p90("espalier_time_to_first_token_seconds"), legend: byClassAndVariant }],
      },
      {
        title: "Time per output token, p90",
        description: "A request's mean time between its tokens after the first, by device class and variant.",
        unit: "s",
        queries: [{ expression: p90("espalier_time_per_output_token_seconds"), legend: byClassAndVariant }],
      },
      {
        title: "Time per output token, measured over predicted",
        description: "1 is a perfect prediction. Far above 1: throttling, a busy device or a wrong cost model.",
        unit: "short",
        queries: [
          {
            expression:
              "espalier_measured_time_per_output_token_seconds / espalier_predicted_time_per_output_token_seconds",
            legend: byClassAndVariant,
          },
        ],
      },
    ],
  },
  {
    title: "Accuracy, memory and energy",
    panels: [
      {
        title: "Agreement of the probe, worst device",
        description:
          "Share of positions with the same most likely token as the dense model, and as the builder's own run.",
        unit: "percentunit",
        queries: [
          {
            expression: "min by (device_class, variant, reference) (espalier_probe_agreement_ratio)",
            legend: `${byClassAndVariant} against {{reference}}`,
          },
        ],
      },
      {
        title: "Peak memory of the agent, largest device",
        description: "Peak resident set of the agent's process.",
        unit: "bytes",
        queries: [
          { expression: "max by (device_class, variant) (espalier_peak_memory_bytes)", legend: byClassAndVariant },
        ],
      },
      {
        title: "Energy per token",
        description: "Of the processors, its prompt's share included, as measured when a variant was proven.",
        unit: "joule",
        unavailable: "unavailable: no device has an energy counter that its agent may read",
        queries: [{ expression: "espalier_energy_per_token_joules", legend: byClassAndVariant }],
      },
    ],
  },
  {
    title: "Traffic and fleet",
    panels: [
      {
        title: "Requests",
        description: "By outcome; failed requests are worth a look at the device's log.",
        unit: "reqps",
        queries: [{ expression: "sum by (outcome) (rate(espalier_requests_total[5m]))", legend: "{{outcome}}" }],
      },
      {
        title: "Output tokens",
        description: "Tokens generated in the fleet, by variant.",
        unit: "tps",
        queries: [
          { expression: "sum by (variant) (rate(espalier_completion_tokens_total[5m]))", legend: "{{variant}}" },
        ],
      },
      {
        title: "Devices",
        description: "By state. Failed devices serve their previous variant.",
        unit: "short",
        queries: [{ expression: "sum by (state) (espalier_devices)", legend: "{{state}}" }],
      },
    ],
  },
];
