/** A rule that tells an operator what is wrong, how bad, and what to do. */
export interface Alert {
  name: string;
  severity: "critical" | "warning";
  /**
   * What is compared, in PromQL. A healthy fleet has this series, so that an alert can't be silent for want of data;
   * unless `onlyWhenWrong`.
   */
  measure: string;
  /** The comparison that must hold, e.g. `> 0.1`. */
  condition: string;
  /** How long it must hold. */
  for: string;
  /** The series of `measure` come into being with what is wrong. */
  onlyWhenWrong?: true;
  /** One line; `{{ $labels }}` and `{{ $value }}` as Prometheus fills them in. */
  summary: string;
  /** What to look at and what to do. */
  action: string;
}

const perVariant = "sum by (device_class, variant)";
const dead = 'espalier_build_jobs{state="dead"}';

/** The source of deploy/prometheus/rules. Few, each worth waking somebody or reading in the morning. */
export const fleetAlerts: Alert[] = [
  {
    name: "EspalierCoordinatorDown",
    severity: "critical",
    measure: 'up{job="espalier"}',
    condition: "== 0",
    for: "2m",
    summary: "the coordinator at {{ $labels.instance }} doesn't answer",
    action: "Devices serve on, but nothing is decided or measured. Read its log; /readyz says what it lacks.",
  },
  {
    name: "EspalierDevicesOffline",
    severity: "warning",
    measure: 'sum(espalier_devices{state="offline"} or 0 * sum(espalier_devices)) / sum(espalier_devices)',
    condition: "> 0.1",
    for: "15m",
    summary: "{{ $value | humanizePercentage }} of the devices are offline",
    action: "espalier device list shows which. Many at once: look at the network to the coordinator's session port.",
  },
  {
    name: "EspalierDevicesFailed",
    severity: "warning",
    measure: 'sum(espalier_devices{state="failed"} or 0 * sum(espalier_devices))',
    condition: "> 0",
    for: "10m",
    summary: "{{ $value }} devices refused the variant that they were told to run",
    action: "They serve their previous variant. espalier device list gives each one's reason.",
  },
  {
    name: "EspalierRolloutPaused",
    severity: "warning",
    measure: 'espalier_rollout_phase{phase="paused"}',
    condition: "== 1",
    for: "5m",
    onlyWhenWrong: true,
    summary: "rollout {{ $labels.rollout }} waits for a person",
    action:
      "espalier rollout status {{ $labels.rollout }} shows the gate and its values; then resume, promote or abort it.",
  },
  {
    name: "EspalierBuildDead",
    severity: "warning",
    // New within the hour: a job that died long ago is history.
    measure: `${dead} - (${dead} offset 1h or ${dead} * 0)`,
    condition: "> 0",
    for: "0m",
    onlyWhenWrong: true,
    summary: "{{ $value }} {{ $labels.kind }} jobs were given up in the last hour",
    action:
      "espalier rollout status gives the builder's reason. The next rollout that needs the variant tries it again.",
  },
  {
    name: "EspalierNoBuilder",
    severity: "warning",
    measure: 'sum(espalier_build_jobs{state="queued"}) unless sum(espalier_build_jobs{state="running"})',
    condition: "> 0",
    for: "15m",
    onlyWhenWrong: true,
    summary: "{{ $value }} build jobs wait and no builder works",
    action: "Start a builder (espalier-builder worker), or read the log of the one that should run.",
  },
  {
    name: "EspalierRequestsFail",
    severity: "critical",
    measure: `${perVariant} (rate(espalier_requests_total{outcome="failed"}[10m])) / ${perVariant} (rate(espalier_requests_total[10m]))`,
    condition: "> 0.05",
    for: "10m",
    summary:
      "{{ $value | humanizePercentage }} of the requests to {{ $labels.variant }} on {{ $labels.device_class }} fail",
    action:
      "Read an agent's log on such a device. If it came with a rollout, abort that or start one with the variant from before.",
  },
  {
    name: "EspalierSlowerThanPredicted",
    severity: "warning",
    measure: `${perVariant} (rate(espalier_time_per_output_token_seconds_sum[30m])) / ${perVariant} (rate(espalier_time_per_output_token_seconds_count[30m])) / avg by (device_class, variant) (espalier_predicted_time_per_output_token_seconds)`,
    condition: "> 1.5",
    for: "30m",
    summary:
      "{{ $labels.variant }} takes {{ $value | humanize }} times the predicted time per token on {{ $labels.device_class }}",
    action: "A throttled or busy device, or a changed machine: measure it again (espalier device measure), then plan.",
  },
  {
    name: "EspalierProbeDisagrees",
    severity: "critical",
    measure: 'min by (device_class, variant) (espalier_probe_agreement_ratio{reference="builder"})',
    condition: "< 0.9",
    for: "5m",
    summary: "a device of {{ $labels.device_class }} computes {{ $labels.variant }} differently than the builder did",
    action:
      "Its memory or its ONNX Runtime is not what the artifact was made for. Move it to another variant and look at it.",
  },
  {
    name: "EspalierTelemetryRefused",
    severity: "warning",
    measure: 'sum by (outcome) (rate(espalier_telemetry_snapshots_total{outcome!="accepted"}[10m]))',
    condition: "> 0",
    for: "15m",
    summary: "telemetry is dropped as {{ $labels.outcome }}",
    action:
      "unknown_device: a revoked device still reports. invalid: an agent of another version; the coordinator's log names it.",
  },
];

/** The whole PromQL expression of an alert. */
export function alertExpression({ measure, condition }: Alert): string {
  return `(${measure}) ${condition}`;
}
