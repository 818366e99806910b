import { fleetRows, type Panel } from "@espalier/shared/dashboard/panels";
import { messageOf } from "@espalier/shared/errors";
import { type Html, html } from "./html.ts";
import { type Line, lineChart } from "./line-chart.ts";
import type { QueryRange, TimeRange } from "./query-range.ts";

/** Ranges that the console offers: name -> length. */
export const rangesMs = { "15m": 900_000, "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000, "7d": 604_800_000 };
export type RangeName = keyof typeof rangesMs;

const points = 181;

/** The range that a query string names; an hour unless it names one. */
export function rangeNamed(name: string | null): RangeName {
  const known = Object.keys(rangesMs) as RangeName[];
  return known.find((range) => range === name) ?? "1h";
}

/** The dashboard's charts, drawn from what Prometheus has; without one, how to get them. */
export async function writeCharts(parts: {
  queryRange: QueryRange | null;
  range: RangeName;
  nowMs: number;
}): Promise<Html> {
  const { queryRange, range, nowMs } = parts;
  if (queryRange === null) {
    return html`<p class="note">Charts need a Prometheus that scrapes this coordinator: start it with <code>--prometheus-url http://...</code>. <code>deploy/</code> has the configuration.</p>`;
  }
  const time: TimeRange = { startMs: nowMs - rangesMs[range], endMs: nowMs, points };
  const links = (Object.keys(rangesMs) as RangeName[]).map((name) =>
    name === range ? html`<b>${name}</b>` : html`<a href="?range=${name}">${name}</a>`,
  );
  const rows = await Promise.all(
    fleetRows.map(async ({ title, panels }) => {
      const cells = await Promise.all(panels.map((panel) => writePanel(panel, queryRange, time)));
      return html`<h3>${title}</h3><div class="charts">${cells}</div>`;
    }),
  );
  return html`<nav>Last ${links} <span class="quiet">times are UTC</span></nav>${rows}`;
}

async function writePanel(panel: Panel, queryRange: QueryRange, time: TimeRange): Promise<Html> {
  return html`<article><h4>${panel.title}</h4><p class="quiet">${panel.description}</p>${await chartOf(panel, queryRange, time)}</article>`;
}

async function chartOf(panel: Panel, queryRange: QueryRange, time: TimeRange): Promise<Html> {
  try {
    const lines = await Promise.all(
      panel.queries.map(async ({ expression, legend }) =>
        (await queryRange(expression, time)).map(
          ({ labels, values }): Line => ({ name: fillLegend(legend, labels), values }),
        ),
      ),
    );
    // A line without any value, e.g. the quantile of nothing, says nothing.
    const drawn = lines.flat().filter(({ values }) => values.some((value) => value !== null));
    if (drawn.length === 0) return html`<p class="note">${panel.unavailable ?? "nothing to show in this time"}</p>`;
    return lineChart(panel, drawn, time);
  } catch (error) {
    return html`<p class="note">${messageOf(error)}</p>`;
  }
}

/** Grafana's legend format: `{{label}}` stands for the label's value. */
function fillLegend(legend: string, labels: Readonly<Record<string, string>>): string {
  return legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => labels[label] ?? "");
}
