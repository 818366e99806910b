/** Runs every chaos test with as many injections as asked and records what was found. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Finding } from "./kit/injections.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { values } = parseArgs({
  options: { injections: { type: "string", default: "100" }, only: { type: "string", default: "" } },
});
const injections = Number(values.injections);
if (!Number.isInteger(injections) || injections < 1) {
  process.stderr.write(`--injections: expected a whole number from 1, got "${values.injections}"\n`);
  process.exit(2);
}

const findingsPath = join(root, ".espalier/chaos/findings.jsonl");
mkdirSync(join(root, ".espalier/chaos"), { recursive: true });
rmSync(findingsPath, { force: true });
writeFileSync(findingsPath, "");
const folder = join(root, "test/chaos");
const files = readdirSync(folder).filter((name) => name.endsWith(".test.ts") && name.includes(values.only));
const startedMs = performance.now();
const run = spawn(
  process.execPath,
  ["--test", "--test-concurrency=1", "--test-timeout=3600000", ...files.sort().map((name) => join(folder, name))],
  {
    stdio: "inherit",
    env: { ...process.env, ESPALIER_CHAOS_INJECTIONS: values.injections, ESPALIER_CHAOS_FINDINGS: findingsPath },
  },
);
const [code] = await once(run, "exit");
const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
const findings = readFileSync(findingsPath, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line): Finding => JSON.parse(line));

// A run that failed is no record.
if (code === 0) write(findings);
process.exitCode = code ?? 1;

function write(rows: readonly Finding[]): void {
  const command = `make chaos INJECTIONS=${injections}${values.only === "" ? "" : ` ONLY=${values.only}`}`;
  const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
  const date = new Date().toISOString().slice(0, 10);
  const total = rows.reduce((sum, row) => sum + row.injections, 0);
  const covered = new Set(rows.flatMap(({ faults }) => faults));
  const goals = [
    { name: "faults injected, every one survived", value: total, goal: injections, met: total >= injections },
  ];
  const target = join(root, "docs/measurements");
  const json = { command, machine, date, rows: rows.map((row) => ({ ...row, faults: row.faults.join(", ") })), goals };
  writeFileSync(join(target, "chaos.json"), `${JSON.stringify(json, null, 2)}\n`);
  const table = rows.map(
    ({ faults, fault, injections: count, outcome }) => `| ${faults.join(", ")} | ${fault} | ${count} | ${outcome} |`,
  );
  const text = `# What Espalier survives

\`${command}\` on ${machine}, ${date}: ${total} faults injected in ${minutes} minutes, every one survived as written here.
Each row is a test in \`test/chaos\` with real processes, brokers and disks; rows of the fault model that are covered:
${[...covered].sort((a, b) => a - b).join(", ")}.

| row | what was done | times | what held each time |
|---|---|---|---|
${table.join("\n")}
`;
  writeFileSync(join(target, "chaos.md"), text);
}
