import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";

export interface Goal {
  name: string;
  value: number;
  goal: string;
  met: boolean;
}

/** What a benchmark found: `docs/measurements/NAME.json` for programs, `NAME.md` for people. */
export interface Measured {
  /** That makes it again. */
  command: string;
  rows: readonly object[];
  goals: readonly Goal[];
  /** The page under its title: protocol, tables, what to make of them. */
  page: string;
  /** Where it was measured other than here and today. */
  measured?: { machine: string; date: string };
}

/** Where and when something is measured now. */
export function machineToday(): { machine: string; date: string } {
  const machine = `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores`;
  return { machine, date: new Date().toISOString().slice(0, 10) };
}

/** Writes both files; the page gets title, command, machine and goals. */
export async function writeMeasurements(name: string, title: string, { page, ...measured }: Measured): Promise<void> {
  const { machine, date } = measured.measured ?? machineToday();
  const folder = new URL("../docs/measurements/", import.meta.url);
  const { command, rows, goals } = measured;
  await writeFile(
    new URL(`${name}.json`, folder),
    `${JSON.stringify({ command, machine, date, rows, goals }, null, 2)}\n`,
  );
  const goalTable = table(
    ["goal", "measured", "wanted", "met"],
    goals.map((goal) => [goal.name, String(goal.value), goal.goal, goal.met ? "yes" : "**no**"]),
  );
  const head = `# ${title}\n\nMade by \`${command}\` on ${machine}, ${date}. Rows: [${name}.json](${name}.json).\n`;
  await writeFile(new URL(`${name}.md`, folder), `${head}\n${page.trim()}\n\n## Goals\n\n${goalTable}`);
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  return `${line(head)}${line(head.map(() => "---"))}${rows.map(line).join("")}`;
}
