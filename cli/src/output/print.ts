import { stripVTControlCharacters } from "node:util";
import Table from "cli-table3";
import { stringify } from "yaml";
import { heading } from "./colour.ts";

export const outputFormats = ["table", "wide", "json", "yaml", "name"] as const;
export type OutputFormat = (typeof outputFormats)[number];

export interface Column<Row> {
  title: string;
  cell(row: Row): string;
  /** Shown with `-o wide` only. */
  wide?: true;
  /** Long text: wrapped where the terminal ends. */
  wraps?: true;
}

/** How a list is shown: columns for people, the whole rows for programs, one name a line for pipes. */
export interface Listing<Row> {
  columns: Column<Row>[];
  name(row: Row): string;
  /** What a person reads where there are no rows. */
  none?: string;
}

/** How one thing is shown. */
export interface Showing<Value> {
  name(value: Value): string;
  text(value: Value, options: { wide: boolean }): string;
}

/** The text of a list in a format. Data goes to stdout as it is; progress and warnings go to stderr elsewhere. */
export function renderList<Row>(rows: Row[], listing: Listing<Row>, format: OutputFormat): string {
  switch (format) {
    case "json":
    case "yaml":
      return renderData(rows, format);
    case "name":
      return rows.map((row) => `${listing.name(row)}\n`).join("");
    case "table":
    case "wide":
      return rows.length === 0 && listing.none !== undefined && process.stdout.isTTY
        ? `${listing.none}\n`
        : renderTable(
            rows,
            listing.columns.filter((column) => format === "wide" || column.wide !== true),
          );
  }
}

/** The text of one thing in a format. */
export function renderOne<Value>(value: Value, showing: Showing<Value>, format: OutputFormat): string {
  switch (format) {
    case "json":
    case "yaml":
      return renderData(value, format);
    case "name":
      return `${showing.name(value)}\n`;
    case "table":
    case "wide":
      return showing.text(value, { wide: format === "wide" });
  }
}

function renderData(value: unknown, format: "json" | "yaml"): string {
  return format === "json" ? `${JSON.stringify(value, null, 2)}\n` : stringify(value);
}

const none = { top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "" };
const borders = { ...none, "bottom-left": "", "bottom-right": "", left: "", "left-mid": "", mid: "", "mid-mid": "" };
const gapWidth = 2;
const minWrapWidth = 24;

/** A plain table without borders. On a terminal, a column that `wraps` takes what the others leave of its width. */
export function renderTable<Row>(
  rows: readonly Row[],
  columns: Column<Row>[],
  screenWidth: number | undefined = process.stdout.isTTY ? process.stdout.columns : undefined,
): string {
  const cells = rows.map((row) => columns.map((column) => column.cell(row)));
  const widths = screenWidth === undefined ? null : wrapWidths(columns, cells, screenWidth);
  const table = new Table({
    head: columns.map((column) => heading(column.title)),
    chars: { ...borders, right: "", "right-mid": "", middle: " ".repeat(gapWidth) },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    wordWrap: true,
    ...(widths === null ? {} : { colWidths: widths }),
  });
  table.push(...cells);
  return `${table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;
}

/** Null where everything fits. */
function wrapWidths<Row>(columns: Column<Row>[], cells: string[][], screenWidth: number): (number | null)[] | null {
  const natural = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((row) => stripVTControlCharacters(row[index] ?? "").length)),
  );
  const overhead = gapWidth * (columns.length - 1);
  const fixed = natural.reduce((sum, width, index) => (columns[index]?.wraps ? sum : sum + width), overhead);
  const wrapping = columns.filter(({ wraps }) => wraps).length;
  if (wrapping === 0 || natural.reduce((sum, width) => sum + width, overhead) <= screenWidth) return null;
  const each = Math.max(minWrapWidth, Math.floor((screenWidth - fixed) / wrapping));
  return columns.map(({ wraps }, index) => (wraps && (natural[index] ?? 0) > each ? each : null));
}
