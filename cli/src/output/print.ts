import { EspalierError } from "@espalier/shared/errors";
import Table from "cli-table3";
import { stringify } from "yaml";

export const outputFormats = ["table", "json", "yaml", "name"] as const;
export type OutputFormat = (typeof outputFormats)[number];

export interface Column<Row> {
  title: string;
  cell(row: Row): string;
}

/** How a list is shown: columns for people, the whole rows for programs, one name a line for pipes. */
export interface Listing<Row> {
  columns: Column<Row>[];
  name(row: Row): string;
}

/** The text of a list in a format. Data goes to stdout as it is; progress and warnings go to stderr elsewhere. */
export function renderList<Row>(rows: Row[], listing: Listing<Row>, format: string): string {
  switch (format) {
    case "json":
      return `${JSON.stringify(rows, null, 2)}\n`;
    case "yaml":
      return stringify(rows);
    case "name":
      return rows.map((row) => `${listing.name(row)}\n`).join("");
    case "table":
      return renderTable(rows, listing.columns);
    default:
      throw new EspalierError("output.unknown-format", `unknown output format '${format}'`, {
        remedy: `use one of ${outputFormats.join(", ")}`,
      });
  }
}

const none = { top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "" };
const borders = { ...none, "bottom-left": "", "bottom-right": "", left: "", "left-mid": "", mid: "", "mid-mid": "" };

/** A plain table without borders. `widths` wraps a column at that many characters. */
export function renderTable<Row>(rows: Row[], columns: Column<Row>[], widths: (number | null)[] = []): string {
  const table = new Table({
    head: columns.map((column) => column.title),
    chars: { ...borders, right: "", "right-mid": "", middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    wordWrap: true,
    ...(widths.length > 0 ? { colWidths: widths } : {}),
  });
  for (const row of rows) table.push(columns.map((column) => column.cell(row)));
  return `${table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;
}
