import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { joined, type Measured, measure } from "./measure.ts";
import { prepare } from "./prepare.ts";
import { writeReport } from "./report.ts";
import { levels, readSubjects, readText } from "./subjects.ts";

const usage = `Times the agent's runtime beside llama.cpp, ik_llama.cpp and OpenVINO on the same weights, and writes docs/measurements/inference.{md,json}.

  node bench/inference/main.ts [--threads N]... [--rounds N] [--level L]... [--add] [--prepare]
                              [--model FILE.gguf] [--data DIR]

  --threads  1 and 2 by default; what was measured with others before stays in the report
  --add      adds rounds to those measured before, so that a long run can be made in pieces
  --rounds   turns of every subject (default 5); 2 take some 14 minutes
  --level    "dense", "pruned 20 %", "pruned 40 %", "0.5B": all by default
  --prepare  makes what is missing of the subjects (some 15 minutes on one core) and times nothing
  --model    default: the demo's model
  --data     folder with text/wikitext2-a.jsonl and text/wikitext2-b.jsonl; default ESPALIER_DATA, else ../shared/data`;

const root = fileURLToPath(new URL("../..", import.meta.url));
const contextTokens = 2048;
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const { values } = parseArgs({
  options: {
    threads: { type: "string", multiple: true, default: ["1", "2"] },
    rounds: { type: "string", default: "5" },
    level: { type: "string", multiple: true, default: [...levels] },
    add: { type: "boolean", default: false },
    prepare: { type: "boolean", default: false },
    model: { type: "string" },
    data: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}

const environment: unknown = JSON.parse(await readFile(join(root, ".espalier", "env.json"), "utf8"));
const { python, demoModel } = environment as { python: string; demoModel?: string };
const model = values.model ?? demoModel;
if (model === undefined) throw new Error("no model: give --model FILE.gguf, or run `make demo` once");
const text = join(values.data ?? process.env["ESPALIER_DATA"] ?? join(root, "../shared/data"), "text");
const prepared = await prepare({
  python,
  model,
  calibration: join(text, "wikitext2-a.jsonl"),
  evaluation: join(text, "wikitext2-b.jsonl"),
  levels: values.level,
});

if (values.prepare) process.exit(0);
const subjects = await readSubjects(prepared.work);
const chosen = subjects.filter(({ level }) => values.level.includes(level));
const tokens = await readText(prepared.work);
const measuredFile = join(prepared.work, "measured.json");
const known = JSON.parse(await readFile(measuredFile, "utf8").catch(() => "[]")) as Measured[];
let all = known.filter(({ threads }) => values.add || !values.threads.includes(String(threads)));
for (const threads of values.threads.map(Number)) {
  const options = { ...prepared, threads, contextTokens, rounds: Number(values.rounds) };
  const measured = await measure(chosen, tokens, options, say);
  const before = all.find((one) => one.threads === threads);
  const others = all.filter((one) => one !== before);
  all = [...others, before === undefined ? measured : joined(before, measured)].sort((a, b) => a.threads - b.threads);
  await writeFile(measuredFile, JSON.stringify(all));
}
await writeReport(join(root, "docs", "measurements"), all, subjects);
say("docs/measurements/inference.md");
