/** Runs every chaos test with as many injections as asked and records what was found. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Finding } from "./kit/injections.ts";

/** A finding with the file of tests that it is of. */
interface Row extends Finding {
  readonly test: string;
  readonly date: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const { values } = parseArgs({
  options: { injections: { type: "string", default: "100" }, only: { type: "string", default: "" } },
});
const injections = Number(values.injections);
if (!Number.isInteger(injections) || injections < 1) {
  process.stderr.write(`--injections: expected a whole number from 1, got "${values.injections}"\n`);
  process.exit(2);
}

/** Of this run only: others may go on beside it. */
const findingsPath = join(root, `.espalier/chaos/findings-${process.pid}.jsonl`);
mkdirSync(join(root, ".espalier/chaos"), { recursive: true });
writeFileSync(findingsPath, "");
const folder = join(root, "test/chaos");
const files = readdirSync(folder).filter((name) => name.endsWith(".test.ts") && name.includes(values.only));
const run = spawn(
  process.execPath,
  ["--test", "--test-concurrency=1", "--test-timeout=3600000", ...files.sort().map((name) => join(folder, name))],
  {
    stdio: "inherit",
    env: { ...process.env, ESPALIER_CHAOS_INJECTIONS: values.injections, ESPALIER_CHAOS_FINDINGS: findingsPath },
  },
);
const [code] = await once(run, "exit");
const findings = readFileSync(findingsPath, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line): Row => ({ ...JSON.parse(line), date: new Date().toISOString().slice(0, 10) }));

rmSync(findingsPath);

// A run that failed is no record.
if (code === 0) write(findings);
process.exitCode = code ?? 1;

/** Replaces what was recorded of the files that ran; a long run may be made in pieces. */
function write(rows: readonly Row[]): void {
  const target = join(root, "docs/measurements");
  const kept = recorded(join(target, "chaos.json")).filter(
    ({ test }) => existsSync(join(folder, test)) && !files.includes(test),
  );
  const all = [...kept, ...rows].sort((a, b) => (a.test < b.test ? -1 : a.test > b.test ? 1 : 0));
  const command = "make chaos";
  const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
  const date = new Date().toISOString().slice(0, 10);
  const total = all.reduce((sum, row) => sum + row.injections, 0);
  const kills = all.filter(({ test }) => test.startsWith("agent-killed")).reduce((sum, row) => sum + row.injections, 0);
  const goals = [{ name: "agent killed, every time survived", value: kills, goal: 100, met: kills >= 100 }];
  // As a text: the formatter would have short lists on one line.
  const stored = all.map((row) => ({ ...row, faults: row.faults.join(", ") }));
  const json = { command, machine, date, rows: stored, goals };
  writeFileSync(join(target, "chaos.json"), `${JSON.stringify(json, null, 2)}\n`);
  const covered = [...new Set(all.flatMap(({ faults }) => faults))].sort((a, b) => a - b);
  const table = all.map(
    ({ faults, fault, injections: count, outcome, test }) =>
      `| ${faults.join(", ")} | ${fault} | ${count} | ${outcome} | ${test.replace(".test.ts", "")} |`,
  );
  const text = `# What Espalier survives

\`${command}\` on ${machine}, ${date}: ${total} faults injected, every one survived as written here, an agent killed ${kills}
times among them. Each row is a test in \`test/chaos\` with real processes, brokers and disks; \`make chaos ONLY=FILE\` runs one
file again and replaces its rows. Rows of the fault model that are covered: ${covered.join(", ")}.

| row | what was done | times | what held each time | test |
|---|---|---|---|---|
${table.join("\n")}
`;
  writeFileSync(join(target, "chaos.md"), text);
}

function recorded(path: string): Row[] {
  if (!existsSync(path)) return [];
  const { rows } = JSON.parse(readFileSync(path, "utf8")) as { rows: (Omit<Row, "faults"> & { faults: string })[] };
  return rows.map((row) => ({ ...row, faults: row.faults.split(", ").map(Number) }));
}
