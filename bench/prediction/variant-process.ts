import type { GraphContract } from "@espalier/shared/contracts/manifest";
import { createLogger } from "@espalier/shared/logging";
import { createGarbageCollector } from "../../agent/src/measure/collect-garbage.ts";
import { createProcessMemory } from "../../agent/src/measure/process-memory.ts";
import { quantile } from "../../agent/src/measure/sample.ts";
import { timeRequest } from "../../agent/src/measure/time-generation.ts";
import { loadRuntime } from "../../agent/src/runtime/load-runtime.ts";
import type { Runtime } from "../../agent/src/runtime/runtime.ts";
import type { VariantRow } from "./pieces.ts";

export interface VariantTask {
  folder: string;
  graph: GraphContract;
  weightsFile: string;
  threads: number;
  contextTokens: number;
}

export type VariantResult = Pick<VariantRow, "points" | "baseBytes" | "peakBytes" | "loadMs">;

/** Prompt and output tokens, fewest requests, and the time after which no further one begins; the shortest warms up. */
const plan = [
  { promptTokens: 16, outputTokens: 24, atLeast: 3, enoughMs: 800 },
  { promptTokens: 64, outputTokens: 24, atLeast: 3, enoughMs: 1000 },
  { promptTokens: 512, outputTokens: 16, atLeast: 2, enoughMs: 1000 },
  { promptTokens: 1024, outputTokens: 16, atLeast: 1, enoughMs: 0 },
];
const signal = AbortSignal.timeout(180_000);

/** Measures one variant by the path that serves requests, in a process of its own. */
process.once("message", async ({ threads, contextTokens, ...task }: VariantTask) => {
  const memory = createProcessMemory();
  // As an agent does before it loads a variant.
  await createGarbageCollector()();
  const baseBytes = memory.residentBytes();
  memory.openWindow();
  const { folder, graph, weightsFile } = task;
  const log = createLogger("bench", "warn");
  const runtime = await loadRuntime({ folder, graph, dataFiles: [weightsFile], threads, contextTokens, log });
  const points: VariantResult["points"] = [];
  for (const point of plan) points.push(await measurePoint(runtime, point));
  const result: VariantResult = { points, baseBytes, peakBytes: memory.windowPeakBytes(), loadMs: runtime.loadMs };
  await runtime.close();
  process.send?.(result);
  process.disconnect?.();
});

async function measurePoint(
  runtime: Runtime,
  { promptTokens, outputTokens, atLeast, enoughMs }: (typeof plan)[number],
): Promise<VariantResult["points"][number]> {
  // From all over the vocabulary, as a text's are: the embedding's pages come in as tokens use them.
  const prompt = Array.from({ length: promptTokens }, (_, i) => (i * 7919) % runtime.vocabularySize);
  const times: { ttftMs: number; tpotMs: number }[] = [];
  const startMs = performance.now();
  if (promptTokens <= 64) await timeRequest(runtime, prompt, 2, signal);
  while (times.length < atLeast || performance.now() - startMs < enoughMs) {
    times.push(await timeRequest(runtime, prompt, outputTokens, signal));
  }
  const at = (share: number, read: (time: (typeof times)[number]) => number) =>
    quantile(
      times.map(read).sort((a, b) => a - b),
      share,
    );
  return {
    promptTokens,
    outputTokens,
    ttftMs: at(0.5, ({ ttftMs }) => ttftMs),
    tpotMs: at(0.5, ({ tpotMs }) => tpotMs),
    ttftP90Ms: at(0.9, ({ ttftMs }) => ttftMs),
    tpotP90Ms: at(0.9, ({ tpotMs }) => tpotMs),
    repetitions: times.length,
  };
}
