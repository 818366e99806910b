import type { DeviceView } from "../commands/device.ts";
import { heading, state, warning } from "./colour.ts";
import { renderFacts } from "./facts.ts";
import { bytes, joules, labelText, milliseconds, percent, shortDigest, time } from "./quantities.ts";

/** What a device last said it does; `offline` while it has no session. */
export function standing({ online, state: reported }: DeviceView): string {
  return online ? reported || "online" : "offline";
}

/** Everything that an operator wants to know of one device; `-o yaml` has the measurements one by one. */
export function renderDevice(device: DeviceView): string {
  const { inventory, profile, proof } = device;
  const timing = proof?.timing;
  const why = device.stateReason === "" ? "" : `: ${device.stateReason}`;
  const sections = [
    `${heading(device.name)}  ${state(standing(device))}${why}\n`,
    renderFacts([
      ["id", device.deviceId],
      ["labels", labelText(device.labels) || "none"],
      ["seen", device.online ? "now" : time(device.lastSeenAtMs, false)],
      ["serves at", device.localApiUrl],
    ]),
    renderFacts([
      ["variant", device.activeVariantName || "none"],
      ["artifact", device.activeArtifactDigest === "" ? "" : shortDigest(device.activeArtifactDigest)],
      [
        "per output token",
        timing ? `${milliseconds(timing.tpotMs.median)}, p90 ${milliseconds(timing.tpotMs.p90)}` : "",
      ],
      ["to first token", timing ? `${milliseconds(timing.ttftMs.median)}, p90 ${milliseconds(timing.ttftMs.p90)}` : ""],
      ["peak memory", timing ? bytes(timing.peakMemoryBytes) : ""],
      ["energy", timing ? energyText(timing.joulesPerToken) : ""],
      ["agreement", proof ? `${percent(proof.agreementWithDense)} with the dense model` : ""],
    ]),
    inventory === null || inventory === undefined
      ? ""
      : renderFacts([
          ["hardware", `${inventory.cpuModel}, ${inventory.logicalCores} cores, ${inventory.architecture}`],
          ["instructions", inventory.instructionSets.join(" ")],
          ["memory", `${bytes(inventory.memoryTotalBytes)}, ${bytes(inventory.memoryAvailableBytes)} available`],
          ["disk", `${bytes(inventory.diskFreeBytes)} free`],
          ["power", powerText(inventory.powerSource)],
          ["temperature", inventory.thermalCelsius === null ? "unavailable" : `${inventory.thermalCelsius} °C`],
          [
            "software",
            `agent ${inventory.agentVersion}, ONNX Runtime ${inventory.onnxruntimeVersion}, ${inventory.os}`,
          ],
        ]),
    budgetText(device),
    profile === null || profile === undefined ? renderFacts([["measured", "not yet"]]) : measuredText(profile),
  ];
  return sections.filter((section) => section !== "").join("\n");
}

function powerText(source: "mains" | "battery" | "unknown"): string {
  if (source === "unknown") return "unavailable";
  return source === "battery" ? warning("on battery") : "mains";
}

function energyText(joulesPerToken: number | null): string {
  return joulesPerToken === null
    ? "unavailable: no counter that the agent may read"
    : `${joules(joulesPerToken)} per token, of the processors`;
}

/** Each limit that the owner set, and whether the device can really hold it. */
function budgetText({ budget, enforcement }: DeviceView): string {
  if (!budget) return "";
  const limit = (value: string | null, how: string | undefined): string => {
    if (value === null) return "no limit";
    const text = how === undefined ? value : `${value} (${how})`;
    return how?.startsWith("unenforced") ? warning(text) : text;
  };
  const sized = (value: number | null) => (value === null ? null : bytes(value));
  return renderFacts([
    ["budget: threads", limit(String(budget.threads), enforcement?.threads)],
    ["budget: memory", limit(sized(budget.memoryBytes), enforcement?.memory)],
    ["budget: disk", limit(sized(budget.diskBytes), enforcement?.disk)],
    ["budget: cpu", limit(budget.cpuQuota === null ? null : `${budget.cpuQuota} cores`, enforcement?.cpuQuota)],
  ]);
}

function measuredText({ measuredAtMs, measurements }: NonNullable<DeviceView["profile"]>): string {
  const rate = (sample: { median: number } | null) => (sample === null ? "" : `${bytes(Math.round(sample.median))}/s`);
  // Each may have been timed twice.
  const graphs = new Set(measurements.kit?.timings.map(({ graphId }) => graphId)).size;
  return renderFacts([
    ["measured", `${time(measuredAtMs, false)}${graphs > 0 ? `, ${graphs} kit graphs timed` : ""}`],
    ["memory bandwidth", rate(measurements.memoryBandwidthBytesPerSecond)],
    ["disk writes", rate(measurements.diskWriteBytesPerSecond)],
    ["downloads", rate(measurements.downloadBytesPerSecond)],
  ]);
}
