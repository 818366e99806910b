import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { type Goal, goalsOf, type Row, rowsOf } from "./goals.ts";
import { decodeContexts, type Measured, prefillLengths } from "./measure.ts";
import { levels, type Subject } from "./subjects.ts";

/** Writes `inference.json` and `inference.md` into `folder`. */
export async function writeReport(folder: string, measured: readonly Measured[], subjects: readonly Subject[]) {
  const rows = rowsOf(measured, subjects);
  const measuredLevels = levels.filter((level) => rows.some((row) => row.level === level));
  const absent = levels.filter((level) => !measuredLevels.includes(level));
  const rounds = Math.min(...measured.flatMap(({ results }) => results.map((result) => result.rounds.length)));
  const only = absent.length === 0 ? "" : ` LEVEL="${measuredLevels.join(" ")}"`;
  const command = `make bench-inference${only} ROUNDS=${rounds}`;
  const goals = goalsOf(measured, subjects);
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, ${process.platform} ${process.arch}`;
  const date = new Date().toISOString().slice(0, 10);
  const runs = measured.map(({ threads, bandwidthBytesPerSecond, loadBefore }) => ({
    threads,
    bandwidthBytesPerSecond,
    loadBefore,
  }));
  const json = { command, machine, date, runs, rows, goals };
  await writeFile(join(folder, "inference.json"), `${JSON.stringify(json, null, 2)}\n`);
  await writeFile(
    join(folder, "inference.md"),
    markdown({ command, machine, date, rows, goals, measured, subjects, rounds, absent }),
  );
}

interface Report {
  readonly command: string;
  readonly rounds: number;
  /** Levels that were not measured. */
  readonly absent: readonly string[];
  readonly machine: string;
  readonly date: string;
  readonly rows: readonly Row[];
  readonly goals: readonly Goal[];
  readonly measured: readonly Measured[];
  readonly subjects: readonly Subject[];
}

function markdown(report: Report): string {
  const { command, machine, date, rows, goals, measured, subjects, rounds, absent } = report;
  const dense = subjects.find(({ name }) => name === "fp32")?.perplexity ?? Number.NaN;
  const bandwidth = measured.map(
    ({ threads, bandwidthBytesPerSecond: rate }) => `${(rate / 1e9).toFixed(1)} GB/s at ${count(threads, "thread")}`,
  );
  const load = Math.max(...measured.map(({ loadBefore }) => loadBefore)).toFixed(1);
  return `# Inference on a device: the agent's runtime beside llama.cpp, ik_llama.cpp and OpenVINO

\`${command}\` on SmolLM2-135M-Instruct; ${machine}; ${date}. Memory bandwidth in the same run: ${bandwidth.join(", ")}.

All have the same weights, each in its own format: \`qBbK\` is ours with B bits, blocks of K, an \`a\` for asymmetric
ones, on the agent's own kernels and, with \`-stock\`, on ONNX Runtime's; 4 bits at block 128 are GPTQ's, all else is rounded.
\`q8_0\` and \`q4_0\` are llama.cpp's, through node-llama-cpp, with embedding and head at 8 bits as ours have them; \`ik-\` are the
same files on ik_llama.cpp as its Python package comes compiled (AVX2 only: built for this processor it would be faster), laid
out anew at load. \`ov-\` is OpenVINO, its model written with its own operators from our exported weights
(builder/bench/openvino_graph.py, no optimum and no NNCF): at 4 bits our codes as they are, in groups of 64 where 128 doesn't
divide a row; at 8 bits one grid a row, as it compresses by itself. It keeps its own defaults (precision of activations and
cache). \`p20-\` and \`p40-\` are pruned by 20 % and 40 % (cfsp-rel, refitted); \`m-\` is a shape of 0.49 billion parameters (hidden
1024, 28 layers, 16 heads, 8 for keys and values, FFN 4096) with random weights, which has no quality.

Each engine is asked through the interface that applications use and times what they meet, from the request to its first token
and from token to token; ours with \`--spin\`, as the others do always. Subjects are loaded at once in processes of their own
(those of 0.5B after the others) and have turns in ${count(rounds, "round")}, a quarter of a second apart for the last one's
spinning threads to fall asleep, so that they share what the machine does (load
average before: ${load}; with other work on the machine only the ratios mean something); figures are medians over rounds, goals
medians of ratios within a round. *share* is the weights read per second over the bandwidth, *agrees* the share of 16 texts
after which the first token is that of the dense fp32 graph (the check that a file is whole), perplexity is of 2,048 tokens of
WikiText-2 (fp32: ${dense.toFixed(2)}): ours as ONNX Runtime computes it from the exported graph, OpenVINO's by itself,
llama.cpp's by PyTorch in fp32 with the weights as its formats leave them. *idle* is the share of a core that a loaded model
takes while it is asked nothing. The model came from a file with 4-bit blocks of 32, each with an offset in floating point;
none of these formats has that very grid.${absent.length === 0 ? "" : ` Not in this run: ${absent.join(", ")}.`}

${measured.map(({ threads }) => table(threads, rows)).join("\n\n")}

## Goals

| goal | at least | measured | |
|---|---|---|---|
${goals.map(({ name, goal, value, met }) => `| ${name} | ${goal} | ${value.toFixed(2)} | ${met ? "met" : "**missed**"} |`).join("\n")}

What is missed, and why as far as it is known: [decisions/0012](../decisions/0012-kernels-of-our-own.md), "Measured".
`;
}

function table(threads: number, rows: readonly Row[]): string {
  const decode = decodeContexts.map((context) => `decode at ${context}`);
  const prefill = prefillLengths.map((length) => `prefill ${length}`);
  const head = [
    "",
    "level",
    "MB",
    "perplexity",
    "agrees",
    ...decode,
    "share",
    ...prefill,
    "load, ms",
    "resident, MB",
    "idle, cores",
  ];
  const body = rows
    .filter((row) => row.threads === threads)
    .map((row) => [
      row.engine === "llama.cpp" ? `llama.cpp ${row.name}` : row.name,
      row.level,
      row.megabytes.toFixed(0),
      row.perplexity?.toFixed(2) ?? "-",
      row.agreement === null ? "-" : `${Math.round(row.agreement * 100)} %`,
      ...decodeContexts.map((context) => row.decodeTokensPerSecond[context]?.toFixed(0)),
      `${Math.round(row.rooflineShare * 100)} %`,
      ...prefillLengths.map((length) => row.prefillTokensPerSecond[length]?.toFixed(0)),
      row.loadMs,
      row.residentMegabytes,
      row.idleCores.toFixed(3),
    ]);
  const line = (cells: readonly unknown[]): string => `| ${cells.join(" | ")} |`;
  return `## ${count(threads, "thread")} (tokens per second)\n\n${[line(head), line(head.map(() => "---")), ...body.map(line)].join("\n")}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
