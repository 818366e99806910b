import {
  type Plan,
  type PlannedDevice,
  type PlannedVariant,
  type Prediction,
  type TimePrediction,
  upperEndOf,
} from "@espalier/shared/contracts/plan";
import { renderCorrections } from "./correction.ts";
import { renderTable } from "./print.ts";
import { bytes, joules, milliseconds, percent, unknown } from "./quantities.ts";

/** The whole plan for people: what each class gets and why, each device, candidates, cost, and what changes would buy. */
export function renderPlan(plan: Plan): string {
  const notes = plan.notes.map((note) => `Note: ${note}\n`).join("");
  const index = plan.checkIndex === "" ? "" : `Check index: ${plan.checkIndex}\n`;
  return [
    headline(plan),
    renderClasses(plan),
    renderDevices(plan),
    renderFrontier(plan),
    renderCost(plan) + renderCorrections(plan.corrections) + notes + index,
  ].join("\n");
}

/** Only what would change on the devices by applying the plan. */
export function renderDiff(plan: Plan): string {
  const kinds = Map.groupBy(plan.devices, (device) => change(plan, device));
  const amount = (kind: ReturnType<typeof change>) => kinds.get(kind)?.length ?? 0;
  const changes = plan.devices.filter((device) => change(plan, device) !== "keeps");
  const table = renderTable(changes, [
    { title: "", cell: (device) => ({ gets: "+", changes: "~", keeps: "", none: "!" })[change(plan, device)] },
    { title: "DEVICE", cell: ({ name }) => name },
    { title: "NOW", cell: ({ active }) => active?.variantName ?? "nothing" },
    { title: "THEN", cell: ({ choice, active }) => choice?.variantName ?? (active === null ? "nothing" : "unchanged") },
    { title: "DOWNLOAD", cell: (device) => bytes(device.downloadBytes) },
    { title: "WHY", cell: ({ reason }) => reason, wraps: true },
  ]);
  const index = plan.checkIndex === "" ? "" : `Check index: ${plan.checkIndex}\n`;
  const summary = `${amount("gets") + amount("changes")} to change, ${amount("keeps")} unchanged, ${amount("none")} without a variant`;
  return `${plan.modelName}: ${summary}\n${changes.length === 0 ? "" : `\n${table}`}\n${index}`;
}

/** A device that nothing fits keeps what it runs, and is listed so that nobody overlooks it. */
function change(plan: Plan, { active, choice }: PlannedDevice): "gets" | "changes" | "keeps" | "none" {
  if (choice === null) return "none";
  if (active === null) return "gets";
  const artifact = plan.variants.find(({ recipeDigest }) => recipeDigest === choice.recipeDigest)?.artifactDigest;
  return artifact === active.artifactDigest ? "keeps" : "changes";
}

function headline(plan: Plan): string {
  const served = plan.devices.filter(({ choice }) => choice !== null).length;
  const toBuild = plan.cost?.variantsToBuild.length ?? 0;
  const fallbacks = plan.fallbacks.length > 0 ? ` and ${count(plan.fallbacks.length, "fallback")}` : "";
  const variants = `${count(plan.variants.length, "variant")}${fallbacks}${toBuild > 0 ? `, ${toBuild} to build` : ""}`;
  return `${plan.modelName}: ${served} of ${count(plan.devices.length, "device")} served by ${variants}\n`;
}

interface Row {
  devices: readonly PlannedDevice[];
  first: PlannedDevice;
}

/** Devices of one class and variant together; the first one's figures and reason stand for all. */
function renderClasses(plan: Plan): string {
  const groups = Map.groupBy(plan.devices, (device) => `${device.deviceClass}\n${device.choice?.variantName ?? ""}`);
  const rows: Row[] = [...groups.values()]
    .flatMap((devices) => (devices[0] === undefined ? [] : [{ devices, first: devices[0] }]))
    .sort((a, b) =>
      a.first.deviceClass < b.first.deviceClass ? -1 : a.first.deviceClass > b.first.deviceClass ? 1 : 0,
    );
  const hasEnergy = rows.some(({ first }) => first.choice?.prediction.joulesPerToken != null);
  return renderTable(rows, [
    { title: "CLASS", cell: ({ first }) => first.deviceClass },
    { title: "DEVICES", cell: ({ devices }) => String(devices.length) },
    { title: "VARIANT", cell: ({ first }) => first.choice?.variantName ?? "none" },
    { title: "TPOT", cell: ({ first }) => time(first.choice?.prediction.tpotMs) },
    { title: "TTFT", cell: ({ first }) => time(first.choice?.prediction.ttftMs) },
    { title: "MEMORY", cell: ({ first }) => figure(first.choice?.prediction.peakMemoryBytes, bytes) },
    ...(hasEnergy
      ? [{ title: "ENERGY", cell: ({ first }: Row) => figure(first.choice?.prediction.joulesPerToken, joules) }]
      : []),
    { title: "DISK", cell: ({ first }) => bytes(first.choice?.prediction.diskBytes.value) },
    { title: "LOAD", cell: ({ first }) => milliseconds(first.choice?.prediction.loadMs?.value) },
  ]);
}

function renderDevices(plan: Plan): string {
  return renderTable(shownDevices(plan), [
    { title: "DEVICE", cell: ({ name }) => name },
    { title: "NOW", cell: ({ active }) => active?.variantName ?? unknown },
    { title: "DOWNLOAD", cell: (device) => bytes(device.downloadBytes) },
    { title: "FALLBACKS", cell: ({ ladder }) => ladder.map(({ variantName }) => variantName).join(" > ") || unknown },
    { title: "WHY", cell: ({ reason }) => reason, wraps: true },
  ]);
}

/** Devices that aren't there are alike: of each reference the first stands for all. */
function shownDevices({ devices }: Plan): PlannedDevice[] {
  const seen = new Set<string>();
  return devices.filter(({ deviceId }) => {
    const reference = /^what-if\/([^/]+)\//.exec(deviceId)?.[1];
    if (reference === undefined) return true;
    const isFirst = !seen.has(reference);
    seen.add(reference);
    return isFirst;
  });
}

function renderFrontier(plan: Plan): string {
  const fallbacks = new Set(plan.fallbacks.map(({ recipeDigest }) => recipeDigest));
  const use = ({ devices, recipeDigest }: PlannedVariant) =>
    devices > 0 ? String(devices) : fallbacks.has(recipeDigest) ? "fallback" : unknown;
  return renderTable(plan.frontier, [
    { title: "CANDIDATE", cell: ({ name }) => name },
    { title: "WEIGHTS", cell: ({ weightBytes }) => bytes(weightBytes) },
    { title: "PERPLEXITY", cell: ({ quality }) => quality.perplexity.toFixed(2) },
    { title: "AGREEMENT", cell: ({ quality }) => percent(quality.agreement) },
    { title: "KL", cell: ({ quality }) => `${quality.kl.toFixed(4)} ± ${quality.klHalfWidth.toFixed(4)}` },
    { title: "FROM", cell: ({ qualitySource }) => qualitySource },
    { title: "DEVICES", cell: use },
  ]);
}

function renderCost({ cost, fallbacks, alternatives }: Plan): string {
  const lines = fallbacks.map(({ text }) => `Fallback ${text}`);
  if (cost !== null) {
    const builds = cost.variantsToBuild;
    if (builds.length > 0) {
      const each =
        cost.buildSeconds === null
          ? "no build of this model yet to judge by"
          : `about ${seconds(cost.buildSeconds)} each`;
      lines.push(`To build: ${builds.join(", ")} (${each}).`);
    }
    const longest = cost.longestDownloadSeconds;
    const duration = longest === null ? "" : `, ${seconds(longest)} on the slowest path`;
    lines.push(`To move: at most ${bytes(cost.downloadBytes)}${duration}.`);
    const { dense } = cost;
    if (dense !== null) {
      const { joulesPerToken } = dense;
      lines.push(
        `Beside ${dense.variantName} everywhere, which fits ${dense.fits}: ${bytes(dense.downloadBytes)} to move, ` +
          `up to ${milliseconds(dense.tpotP90Ms.dense)} per output token (this plan ${milliseconds(dense.tpotP90Ms.plan)}) and ` +
          `${bytes(dense.peakMemoryBytes.dense)} peak memory (this plan ${bytes(dense.peakMemoryBytes.plan)}), means over ${count(dense.compared, "device")}.`,
      );
      if (joulesPerToken !== null) {
        const { plan: planned, dense: unpruned, compared } = joulesPerToken;
        lines.push(
          `Energy: up to ${joules(unpruned)} per token with ${dense.variantName}, ${joules(planned)} with this plan, means over ${count(compared, "device")} with a counter.`,
        );
      }
    }
  }
  return [...lines, ...alternatives.map(({ text }) => `Would buy: ${text}`)].map((line) => `${line}\n`).join("");
}

function figure(prediction: Prediction | null | undefined, show: (value: number) => string): string {
  if (prediction === undefined || prediction === null) return unknown;
  return `${show(prediction.value)} ±${Math.round(prediction.relativeUncertainty * 100)} %`;
}

/** A run's median, and what limits on the 90th percentile of its requests are held against. */
function time(prediction: TimePrediction | undefined): string {
  if (prediction === undefined) return unknown;
  return `${figure(prediction, milliseconds)}, p90 to ${milliseconds(upperEndOf(prediction))}`;
}

function seconds(value: number): string {
  return value < 90 ? `${value.toFixed(value < 10 ? 1 : 0)} s` : `${Math.round(value / 60)} min`;
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? "" : "s"}`;
}
