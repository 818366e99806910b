import { fork, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { appendFile, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Digest } from "@espalier/shared/contracts/digest";
import { Kit } from "@espalier/shared/contracts/kit";
import { locateControlGroups } from "../../agent/src/budget/control-groups.ts";
import { enforceBudget } from "../../agent/src/budget/enforce.ts";
import { fillWeights } from "../../agent/src/measure/fill-weights.ts";
import { measureKit } from "../../agent/src/measure/measure-kit.ts";
import { useOneHeap } from "../../agent/src/one-heap.ts";
import { readKitObjects } from "../kit-objects.ts";
import { machineToday } from "../write-measurements.ts";
import {
  type BenchVariant,
  type Condition,
  conditions,
  contextTokens,
  lineOf,
  type Row,
  readRows,
  readVariants,
} from "./pieces.ts";
import type { VariantResult, VariantTask } from "./variant-process.ts";

/**
 * Measures what is still missing in `--rows`, until `--seconds` are over: per family the kit, then every variant twice, the
 * second time after all others, each in a process of its own under the `--budget`'s conditions.
 */
const { values } = parseArgs({
  options: {
    graphs: { type: "string" },
    rows: { type: "string" },
    budget: { type: "string" },
    seconds: { type: "string", default: "200" },
  },
});
// As the agent's own process, whose children take it over.
useOneHeap();
const graphs = required(values.graphs, "--graphs DIR");
const rowsFile = required(values.rows, "--rows FILE");
const budgetName = required(values.budget, `--budget ${Object.keys(conditions).join("|")}`);
const { budget, busyProcess, families } = findCondition(budgetName);
const untilMs = performance.now() + Number(values.seconds) * 1000;

const rows = await readRows([rowsFile]);
const groups = locateControlGroups(
  await readFile("/proc/self/cgroup", "utf8"),
  await readFile("/proc/self/mountinfo", "utf8"),
);
const enforced = await enforceBudget({
  budget,
  groups,
  groupName: `espalier-bench-${randomUUID()}`,
  pid: process.pid,
});
const { cpuQuota, memory } = enforced.enforcement;
process.stderr.write(`${budgetName}: cpu ${cpuQuota}, memory ${memory}\n`);
const busy = busyProcess ? spawn(process.execPath, ["--eval", "for (;;);"], { stdio: "ignore" }) : null;
try {
  for (const family of families) await measureFamily(family);
} finally {
  busy?.kill();
  await enforced.release();
}

async function measureFamily(family: string): Promise<void> {
  const here = (row: Row) => row.kind !== "family" && row.family === family && row.budget === budgetName;
  const variants = await readVariants(graphs, family);
  if (!rows.some((row) => row.kind === "family" && row.family === family))
    await keep(await familyRow(family, variants));
  const scratch = await mkdtemp(join(tmpdir(), "espalier-bench-"));
  try {
    if (!rows.some((row) => row.kind === "kit" && here(row))) {
      if (performance.now() > untilMs) return;
      await keep(await kitRow(family, scratch));
    }
    for (const round of [1, 2]) {
      for (const variant of variants) {
        const done = (row: Row) => row.kind === "variant" && row.variant === variant.name && row.round === round;
        if (rows.some((row) => here(row) && done(row))) continue;
        if (performance.now() > untilMs) return;
        const measured = await measureApart(family, variant);
        await keep({ kind: "variant", family, budget: budgetName, variant: variant.name, round, ...measured });
      }
    }
  } finally {
    await rm(scratch, { recursive: true });
  }
}

async function keep(row: Row): Promise<void> {
  rows.push(row);
  await appendFile(rowsFile, lineOf(row));
  if (row.kind === "family") return;
  process.stderr.write(`${row.budget}, ${row.family}: ${row.kind === "kit" ? `kit, ${row.seconds} s` : row.variant}\n`);
}

async function familyRow(family: string, variants: readonly BenchVariant[]): Promise<Row> {
  const kit = Kit.parse(JSON.parse(await readFile(join(graphs, family, "kit", "kit.json"), "utf8")));
  return {
    kind: "family",
    family,
    graphs: kit.graphs.map(({ id, shape, weightsBytes }) => ({ id, shape, weightsBytes })),
    variants: variants.map(({ name, real, shape, weightsBytes }) => ({ name, real, shape, weightsBytes })),
  };
}

/** The agent's own measurement of the kit; its bucket is a folder here. */
async function kitRow(family: string, scratch: string): Promise<Row> {
  const { kitDigest, objects } = await readKitObjects(join(graphs, family, "kit"));
  const bucket = {
    async read(digest: Digest) {
      const bytes = objects.get(digest);
      if (bytes === undefined) throw new Error(`the kit of ${family} has no object ${digest}`);
      return bytes;
    },
  };
  const startMs = performance.now();
  const deps = {
    bucket,
    folder: join(scratch, "kit"),
    threads: budget.threads,
    spinning: false,
    memoryBudgetBytes: budget.memoryBytes,
    sustainedSeconds: 0,
    sys: "/sys",
  };
  const { timings } = await measureKit(deps, kitDigest, () => undefined, AbortSignal.timeout(600_000));
  const seconds = Math.round((performance.now() - startMs) / 1000);
  const piece = { family, budget: budgetName, ...machineToday() };
  return { kind: "kit", ...piece, budgetSettings: budget, seconds, timings };
}

async function measureApart(family: string, variant: BenchVariant): Promise<VariantResult> {
  const folder = join(graphs, family, variant.name);
  const { graph, weightsFile, weightsBytes, tensors } = variant;
  const weights = join(folder, weightsFile);
  if (variant.real) await writeAnew(weights);
  else await fillWeights(weights, weightsBytes, tensors, 0.01);
  const task: VariantTask = { folder, graph, weightsFile, threads: budget.threads, contextTokens };
  const child = fork(fileURLToPath(new URL("./variant-process.ts", import.meta.url)));
  const { promise, resolve, reject } = Promise.withResolvers<VariantResult>();
  child.once("message", (result) => resolve(result as VariantResult));
  child.once("exit", (code) => reject(new Error(`measuring ${variant.name} ended with exit code ${code}`)));
  child.send(task);
  try {
    return await promise;
  } finally {
    if (!variant.real) await rm(weights);
  }
}

/**
 * Leaves a file as a download of it does. Of an embedding Linux maps as much around each row that is touched as it keeps in one
 * piece: everything of a file that was just written in pieces of a megabyte, half of one that was read in by and by.
 */
async function writeAnew(path: string): Promise<void> {
  const copy = `${path}.new`;
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), createWriteStream(copy));
  await rename(copy, path);
}

function findCondition(wanted: string): Condition {
  const found = conditions[wanted];
  if (found === undefined) throw new Error(`unknown budget ${wanted}: ${Object.keys(conditions).join(", ")}`);
  return found;
}

function required(value: string | undefined, option: string): string {
  if (value === undefined) throw new Error(`${option} is missing`);
  return value;
}
