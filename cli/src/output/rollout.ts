import type { GateResult, RolloutState } from "@espalier/shared/contracts/rollout-state";
import type { BuildPace } from "./build-pace.ts";
import { state as coloured, dim, heading } from "./colour.ts";
import { type Column, renderTable } from "./print.ts";
import { bytes, joules, milliseconds, percent, shortDigest, time, unknown } from "./quantities.ts";

/** One line that says where a rollout stands: what changes while it is watched. */
export function rolloutLine(state: RolloutState): string {
  const builds = state.builds.filter((build) => build.state === "running").map(buildText);
  const busy = state.devices
    .filter((device) => device.phase === "assigned" || device.phase === "working")
    .map((device) => `${device.name} ${device.progress}`.trim());
  const parts = [state.phase, ...builds, ...busy, activeText(state.devices), state.reason];
  return `${state.spec.name}: ${parts.filter((part) => part !== "").join(", ")}`;
}

/**
 * Everything that an operator wants to know of a rollout: builds, waves, gates with their values, devices and why.
 * `maxDevices` shows only so many, first those that failed or are at work; `pace` says how long builds still take.
 */
export function renderRollout(
  state: RolloutState,
  options: { wide: boolean; maxDevices?: number; pace?: BuildPace } = { wide: false },
): string {
  const building = state.builds.some((build) => build.state !== "succeeded");
  const sections: [title: string, text: string | null][] = [
    ["Builds", building || options.wide ? buildTable(state, options.pace) : null],
    ["Waves", state.waves.length > 0 ? waveTable(state) : null],
    ["Gates", state.waves.some((wave) => wave.gates.length > 0) ? gateTable(state) : null],
    ["Devices", state.devices.length > 0 ? deviceTable(state, options) : null],
  ];
  const shown = sections.flatMap(([title, text]) => (text === null ? [] : [`${dim(title)}\n${text}`]));
  return [head(state), ...shown].join("\n");
}

function head(state: RolloutState): string {
  const { spec, phase, reason, plan } = state;
  const model = plan?.modelName ?? shortDigest(spec.model);
  const why = reason === "" ? "" : `: ${reason}`;
  const about = `${model}, ${activeText(state.devices)}, started ${time(state.createdAtMs, false)}`;
  const next = phase === "paused" ? `${dim(`next: espalier rollout resume ${spec.name}, or abort`)}\n` : "";
  return `${heading(spec.name)}  ${coloured(phase)}${why}\n${about}\n${next}`;
}

function activeText(devices: RolloutState["devices"]): string {
  return `${devices.filter(({ phase }) => phase === "active").length}/${devices.length} active`;
}

function buildText(build: RolloutState["builds"][number]): string {
  return `${build.variantName} ${build.stage} ${Math.round(build.fraction * 100)} %`;
}

function buildTable({ builds }: RolloutState, pace: BuildPace | undefined): string {
  return renderTable(builds, [
    { title: "VARIANT", cell: (build) => build.variantName },
    { title: "STATE", cell: (build) => coloured(build.state) },
    { title: "STAGE", cell: (build) => build.stage || unknown },
    { title: "DONE", cell: (build) => `${Math.round(build.fraction * 100)} %` },
    ...(pace === undefined
      ? []
      : [{ title: "LEFT", cell: (build: RolloutState["builds"][number]) => pace.left(build, Date.now()) || unknown }]),
    { title: "MESSAGE", cell: (build) => build.message, wraps: true },
  ]);
}

function waveTable(state: RolloutState): string {
  const inWave = (index: number) => state.devices.filter(({ wave, phase }) => wave === index && phase !== "skipped");
  return renderTable(state.waves, [
    { title: "WAVE", cell: (wave) => wave.name },
    { title: "STATE", cell: (wave) => coloured(wave.state) },
    { title: "DEVICES", cell: (wave) => activeText(inWave(wave.index)) },
    { title: "CLASSES", cell: (wave) => classesOf(state, inWave(wave.index)), wraps: true },
  ]);
}

/** Each device class of the devices, with how many of it there are. */
function classesOf(state: RolloutState, devices: RolloutState["devices"]): string {
  const counts = new Map<string, number>();
  for (const { deviceId } of devices) {
    const name = state.plan?.devices.find((planned) => planned.deviceId === deviceId)?.deviceClass ?? unknown;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
}

function gateTable(state: RolloutState): string {
  const rows = state.waves.flatMap((wave) => wave.gates.map((gate) => ({ wave, gate })));
  return renderTable(rows, [
    { title: "WAVE", cell: ({ wave }) => wave.name },
    { title: "GATE", cell: ({ gate }) => gate.gate },
    { title: "VERDICT", cell: ({ gate }) => coloured(gate.verdict) },
    { title: "MEASURED", cell: ({ gate }) => gateValue(gate, gate.measured) },
    { title: "ALLOWED", cell: ({ gate }) => gateValue(gate, gate.allowed) },
    { title: "N", cell: ({ gate }) => String(gate.evidence) },
    { title: "CLASS OR VARIANT", cell: ({ gate }) => gate.subject },
    { title: "DETAIL", cell: ({ gate }) => gate.message, wraps: true },
  ]);
}

/** A gate's value in the unit that the gate measures in. */
function gateValue({ gate }: GateResult, value: number | null): string {
  if (value === null) return unknown;
  switch (gate) {
    case "latency-objective":
      return milliseconds(value);
    case "memory-objective":
      return bytes(value);
    case "energy-objective":
      return joules(value);
    case "failures":
    case "latency-prediction":
    case "probe":
      return percent(value);
    case "quality-floor":
      return value.toFixed(3);
  }
}

type RolloutDevice = RolloutState["devices"][number];

/** What an operator looks for first. */
const interest: readonly RolloutDevice["phase"][] = [
  "failed",
  "working",
  "assigned",
  "offline",
  "rolled-back",
  "pending",
  "active",
  "skipped",
];

function deviceTable(state: RolloutState, { wide, maxDevices }: { wide: boolean; maxDevices?: number }): string {
  const planned = (device: RolloutDevice) => state.plan?.devices.find(({ deviceId }) => deviceId === device.deviceId);
  const columns: Column<RolloutDevice>[] = [
    { title: "DEVICE", cell: (device) => device.name },
    { title: "CLASS", cell: (device) => planned(device)?.deviceClass ?? unknown, wide: true },
    { title: "WAVE", cell: (device) => (device.phase === "skipped" ? unknown : waveName(state, device.wave)) },
    { title: "STATE", cell: (device) => coloured(device.phase) },
    { title: "VARIANT", cell: (device) => variantName(state, device.artifactDigest) },
    { title: "TPOT", cell: (device) => milliseconds(device.proof?.timing?.tpotMs.median) },
    { title: "TTFT", cell: (device) => milliseconds(device.proof?.timing?.ttftMs.median) },
    { title: "MEMORY", cell: (device) => bytes(device.proof?.timing?.peakMemoryBytes) },
    { title: "AGREEMENT", cell: (device) => percent(device.proof?.agreementWithDense) },
    { title: "WHY", cell: (device) => device.reason || busyText(device) || planned(device)?.reason || "", wraps: true },
  ];
  const all =
    maxDevices === undefined || state.devices.length <= maxDevices
      ? [...state.devices].sort((a, b) => a.wave - b.wave)
      : [...state.devices].sort((a, b) => interest.indexOf(a.phase) - interest.indexOf(b.phase));
  const shown = all.slice(0, maxDevices);
  const rest = all.length - shown.length;
  const table = renderTable(
    shown,
    columns.filter((column) => wide || column.wide !== true),
  );
  return rest === 0 ? table : `${table}${dim(`and ${rest} more`)}\n`;
}

function busyText({ phase, progress }: RolloutDevice): string {
  return phase === "assigned" || phase === "working" ? progress : "";
}

function waveName(state: RolloutState, index: number): string {
  return state.waves.find((wave) => wave.index === index)?.name ?? unknown;
}

function variantName(state: RolloutState, artifactDigest: string | null): string {
  if (artifactDigest === null) return unknown;
  const built = state.builds.find((build) => build.artifactDigest === artifactDigest);
  const known = state.plan?.frontier.find((variant) => variant.artifactDigest === artifactDigest);
  return built?.variantName ?? known?.name ?? artifactDigest;
}
