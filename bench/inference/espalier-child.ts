import { loadRuntime } from "../../agent/src/runtime/load-runtime.ts";
import { greedy } from "../../agent/src/runtime/sampling.ts";
import { serveRuns } from "./protocol.ts";
import { readSubjects } from "./subjects.ts";

/** The agent's runtime as it serves requests. Arguments: folder of the subjects, subject, threads, context. */
const [folder = "", name = "", threads, contextTokens] = process.argv.slice(2);
const subject = (await readSubjects(folder)).find((one) => one.name === name);
if (subject?.graph === undefined) throw new Error(`${name} is no graph in ${folder}`);
const startMs = performance.now();
const runtime = await loadRuntime({
  folder: subject.path,
  graph: subject.graph,
  threads: Number(threads),
  contextTokens: Number(contextTokens),
  // The machine is the benchmark's alone, as `--spin` asks for.
  spinning: true,
  kernel: subject.engine === "espalier" ? "auto" : "stock",
  log: { info: () => {}, warn: (_, message) => process.stderr.write(`${message}\n`) },
});
serveRuns(performance.now() - startMs, async function* (tokens, maxTokens) {
  const request = { tokens, maxTokens, sampling: greedy, stopTokenIds: [] };
  for await (const { tokenId } of runtime.generate(request)) yield tokenId;
});
