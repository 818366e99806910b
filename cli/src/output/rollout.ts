import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { renderTable } from "./print.ts";
import { bytes, milliseconds, percent, unknown } from "./quantities.ts";

/** One line that says where a rollout stands: what changes while it is watched. */
export function rolloutLine(state: RolloutState): string {
  const builds = state.builds
    .filter((build) => build.state === "running")
    .map((build) => `${build.variantName} ${build.stage} ${Math.round(build.fraction * 100)} %`);
  const busy = state.devices
    .filter((device) => device.phase === "assigned" || device.phase === "working")
    .map((device) => `${device.name} ${device.progress}`.trim());
  const active = state.devices.filter((device) => device.phase === "active").length;
  const parts = [state.phase, ...builds, ...busy, `${active}/${state.devices.length} active`, state.reason];
  return `${state.spec.name}: ${parts.filter((part) => part !== "").join(", ")}`;
}

export function renderRollout(state: RolloutState): string {
  const devices = renderTable(state.devices, [
    { title: "DEVICE", cell: (device) => device.name },
    { title: "WAVE", cell: (device) => String(device.wave) },
    { title: "PHASE", cell: (device) => device.phase },
    { title: "VARIANT", cell: (device) => variantName(state, device.artifactDigest) },
    { title: "TPOT", cell: (device) => milliseconds(device.proof?.timing?.tpotMs.median) },
    { title: "TTFT", cell: (device) => milliseconds(device.proof?.timing?.ttftMs.median) },
    { title: "MEMORY", cell: (device) => bytes(device.proof?.timing?.peakMemoryBytes) },
    { title: "AGREEMENT", cell: (device) => percent(device.proof?.agreementWithDense) },
    { title: "REASON", cell: (device) => device.reason },
  ]);
  const gates = renderTable(
    state.waves.flatMap((wave) => wave.gates.map((gate) => ({ wave, gate }))),
    [
      { title: "WAVE", cell: ({ wave }) => wave.name },
      { title: "GATE", cell: ({ gate }) => gate.gate },
      { title: "SUBJECT", cell: ({ gate }) => gate.subject },
      { title: "VERDICT", cell: ({ gate }) => gate.verdict },
      { title: "DETAIL", cell: ({ gate }) => gate.message },
    ],
  );
  return `${rolloutLine(state)}\n\n${devices}\n${gates}`;
}

function variantName(state: RolloutState, artifactDigest: string | null): string {
  if (artifactDigest === null) return unknown;
  return state.builds.find((build) => build.artifactDigest === artifactDigest)?.variantName ?? artifactDigest;
}
