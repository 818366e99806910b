import type { Panel } from "@espalier/shared/dashboard/panels";
import { type Html, html } from "./html.ts";
import type { TimeRange } from "./query-range.ts";
import { axisTicks, formatValue } from "./scale.ts";

export interface Line {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/** Told apart also by people who see few colours (Okabe and Ito, 2008); the CSS class `c0` to `c7` sets them. */
export const lineColours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#5b5b5b"];

const width = 480;
const height = 190;
const plot = { left: 58, right: 10, top: 10, bottom: 22 };
const xTicks = 4;
/** A value among so many last points is the present one: the newest scrape may lie a little back. */
const nowPoints = 3;

/**
 * A line chart as SVG: from 0, gaps where there is no value, a dot where a value has no neighbour. Lines beyond the
 * colours are left out and counted in the legend.
 */
export function lineChart(
  { title, unit }: Pick<Panel, "title" | "unit">,
  lines: readonly Line[],
  range: TimeRange,
): Html {
  const shown = lines.slice(0, lineColours.length);
  const most = Math.max(0, ...shown.flatMap(({ values }) => values.filter((value) => value !== null)));
  const ticks = axisTicks(most, 4, unit);
  const top = ticks.at(-1) ?? 1;
  const x = (index: number) => plot.left + (index / (range.points - 1)) * (width - plot.left - plot.right);
  const y = (value: number) => plot.top + (1 - value / top) * (height - plot.top - plot.bottom);
  const grid = ticks.map(
    (tick) =>
      html`<line class="grid" x1="${plot.left}" x2="${width - plot.right}" y1="${at(y(tick))}" y2="${at(y(tick))}"/><text class="axis" text-anchor="end" x="${plot.left - 6}" y="${at(y(tick) + 4)}">${formatValue(tick, unit)}</text>`,
  );
  const times = Array.from({ length: xTicks + 1 }, (_, tick) => {
    const index = (tick / xTicks) * (range.points - 1);
    const anchor = tick === 0 ? "start" : tick === xTicks ? "end" : "middle";
    return html`<text class="axis" text-anchor="${anchor}" x="${at(x(index))}" y="${height - 6}">${timeOf(range, index)}</text>`;
  });
  const paths = shown.map(
    ({ name, values }, index) =>
      html`<path class="line c${index}" d="${pathOf(values, x, y)}"><title>${name}</title></path>`,
  );
  return html`<figure><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">${grid}${times}${paths}</svg>${legend(shown, lines.length - shown.length, unit)}</figure>`;
}

function pathOf(values: Line["values"], x: (index: number) => number, y: (value: number) => number): string {
  const parts: string[] = [];
  for (const [index, value] of values.entries()) {
    if (value === null) continue;
    const before = values[index - 1] ?? null;
    const alone = before === null && (values[index + 1] ?? null) === null;
    parts.push(`${before === null ? "M" : "L"}${at(x(index))} ${at(y(value))}${alone ? "h.01" : ""}`);
  }
  return parts.join("");
}

function legend(lines: readonly Line[], more: number, unit: Panel["unit"]): Html {
  const items = lines.map(({ name, values }, index) => {
    const last = values.slice(-nowPoints).findLast((value) => value !== null) ?? null;
    return html`<li><i class="c${index}"></i><span>${name}</span><b>${last === null ? "none now" : formatValue(last, unit)}</b></li>`;
  });
  const rest = more === 0 ? [] : [html`<li class="quiet">and ${more} more</li>`];
  return html`<ul class="legend">${[...items, ...rest]}</ul>`;
}

function timeOf({ startMs, endMs, points }: TimeRange, index: number): string {
  const iso = new Date(startMs + ((endMs - startMs) * index) / (points - 1)).toISOString();
  return endMs - startMs > 86_400_000 ? iso.slice(5, 10) : iso.slice(11, 16);
}

/** A coordinate; a tenth of a unit is finer than a pixel. */
function at(coordinate: number): string {
  return String(Math.round(coordinate * 10) / 10);
}
