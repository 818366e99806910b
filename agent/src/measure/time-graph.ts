import { performance } from "node:perf_hooks";
import type { KitTiming, Sample } from "@espalier/shared/contracts/profile";
import type { Runtime } from "../runtime/runtime.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { isEnough, summarize } from "./sample.ts";

const decodeContexts = [64, 512];
const prefillLengths = [16, 64, 128];
const policy = { minRepetitions: 10, maxMs: 800, relativeSpread: 0.04 };
const batch = 5;

/** Context a graph needs for its points, at most what it allows. */
export function kitContextTokens(contextLength: number): number {
  return Math.min(contextLength, Math.max(...decodeContexts) + 1);
}

/** Times a loaded kit graph: decode at two context lengths and prefill at three prompt lengths. */
export async function timeGraph(
  graphId: string,
  runtime: Runtime,
  memory: ProcessMemory,
  bytesBeforeLoad: number,
  signal: AbortSignal,
): Promise<KitTiming> {
  const loadedBytes = memory.residentBytes();
  const point = (contextTokens: number, newTokens: number): Promise<Sample> =>
    repeat((repetitions) => runtime.timeSteps({ contextTokens, newTokens, repetitions }, signal));
  const decode: KitTiming["decode"] = [];
  for (const contextTokens of decodeContexts)
    if (contextTokens < runtime.contextTokens) decode.push({ contextTokens, ms: await point(contextTokens, 1) });
  const prefill: KitTiming["prefill"] = [];
  for (const promptTokens of prefillLengths)
    if (promptTokens <= runtime.contextTokens) prefill.push({ promptTokens, ms: await point(0, promptTokens) });
  return {
    graphId,
    decode,
    prefill,
    loadMs: runtime.loadMs,
    loadedMemoryBytes: Math.max(0, loadedBytes - bytesBeforeLoad),
    runningMemoryBytes: Math.max(0, memory.windowPeakBytes() - loadedBytes),
  };
}

async function repeat(run: (repetitions: number) => Promise<number[]>): Promise<Sample> {
  const values: number[] = [];
  const startMs = performance.now();
  do values.push(...(await run(batch)));
  while (!isEnough(values, performance.now() - startMs, policy));
  return summarize(values);
}
