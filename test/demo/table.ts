import { renderTable } from "@espalier/cli/output/print";
import { bytes, milliseconds, percent, unknown } from "@espalier/cli/output/quantities";
import type { DemoDevice, DemoReport } from "./report.ts";

/** What the demo ends with. */
export function renderReport(report: DemoReport): string {
  const figures = renderTable(report.devices, [
    { title: "DEVICE", cell: (device) => device.name },
    { title: "BUDGET", cell: budgetText },
    { title: "VARIANT", cell: (device) => device.recipe ?? "none" },
    { title: "STATE", cell: (device) => device.state },
    { title: "TPOT predicted / measured", cell: pair("tpotMs", milliseconds) },
    { title: "TTFT", cell: pair("ttftMs", milliseconds) },
    { title: "MEMORY", cell: pair("peakMemoryBytes", bytes) },
    { title: "SIZE", cell: (device) => bytes(device.artifactBytes) },
    { title: "AGREEMENT", cell: (device) => percent(device.agreement) },
    { title: "PERPLEXITY (dense)", cell: perplexityText },
  ]);
  const words = report.devices
    .map((device) => `${device.name}\n  why:    ${device.reason}\n  answer: ${device.answer.replaceAll("\n", " ")}`)
    .join("\n");
  return `\n${figures}\n${words}\n${limitText(report)}`;
}

function pair(key: keyof DemoDevice["predicted"], show: (value: number | null) => string) {
  return (device: DemoDevice) => `${show(device.predicted[key])} / ${show(device.measured[key])}`;
}

function budgetText({ budget }: DemoDevice): string {
  if (budget === null) return unknown;
  const parts = [`${budget.threads} thread${budget.threads === 1 ? "" : "s"}`];
  if (budget.memoryBytes !== null) parts.push(bytes(budget.memoryBytes));
  if (budget.diskBytes !== null) parts.push(`${bytes(budget.diskBytes)} disk`);
  if (budget.cpuQuota !== null) parts.push(`${budget.cpuQuota} cores`);
  return parts.join(", ");
}

function perplexityText({ perplexity, densePerplexity }: DemoDevice): string {
  return perplexity === null ? unknown : `${perplexity.toFixed(2)} (${densePerplexity?.toFixed(2) ?? unknown})`;
}

function limitText({ limit }: DemoReport): string {
  if (limit === null) return "";
  const check = (side: typeof limit.dense) =>
    `${side.variant} measured ${milliseconds(side.tpotP90Ms)}: ${side.kept ? "kept" : "broken"}`;
  return `\n${limit.device}'s limit of ${milliseconds(limit.tpotP90Ms)} per output token (p90): ${check(limit.dense)}; ${check(limit.chosen)}\n`;
}
