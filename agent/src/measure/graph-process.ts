import type { GraphContract } from "@espalier/shared/contracts/manifest";
import type { KitTiming } from "@espalier/shared/contracts/profile";
import { createLogger } from "@espalier/shared/logging";
import { loadRuntime } from "../runtime/load-runtime.ts";
import { createGarbageCollector } from "./collect-garbage.ts";
import { startPowerMeter } from "./energy-meter.ts";
import { createProcessMemory } from "./process-memory.ts";
import { kitContextTokens, timeGraph } from "./time-graph.ts";
import { timeSustained } from "./time-sustained.ts";

/** What the process is told once, and what it answers: a KitTiming, or why there is none. */
export interface GraphTask {
  graphId: string;
  folder: string;
  graph: GraphContract;
  weightsFile: string;
  threads: number;
  spinning: boolean;
  /** Time a long context and prompt too. */
  long: boolean;
  /** When the visit to this graph began (epoch ms), and what it should take, filling weights and loading included. */
  startedAtMs: number;
  limitMs: number;
  /** Keep it busy for so long afterwards; 0: not. */
  sustainedSeconds: number;
  /** `/sys`, where energy counters are. */
  sys: string;
}

/** Of timing alone: beyond the first a graph's times hardly get better, below the second they tell little. */
const [mostTimingMs, leastTimingMs] = [2_000, 900];

/**
 * Entry of a child process that times one kit graph. In a process of its own the growth of resident memory is the graph's:
 * memory that an earlier model freed but the allocator kept would hide it.
 */
process.once("message", async (task: GraphTask) => {
  const log = createLogger("kit", "warn");
  const memory = createProcessMemory();
  // As an agent does before it loads a variant: what starting left behind is not the model's growth.
  await createGarbageCollector()();
  const bytesBeforeLoad = memory.residentBytes();
  memory.openWindow();
  const contextTokens = kitContextTokens(task.graph.contextLength, task.long);
  const { graphId, folder, graph, threads, spinning } = task;
  const dataFiles = [task.weightsFile];
  const runtime = await loadRuntime({ folder, graph, dataFiles, threads, spinning, contextTokens, log });
  const power = await startPowerMeter(task.sys);
  const leftMs = task.startedAtMs + task.limitMs - Date.now();
  const limitMs = Math.min(mostTimingMs, Math.max(leastTimingMs, leftMs));
  const timed = await timeGraph({ graphId, runtime, memory, bytesBeforeLoad, limitMs }, AbortSignal.timeout(120_000));
  const timing: KitTiming = { ...timed, watts: await power() };
  const { sustainedSeconds } = task;
  if (sustainedSeconds > 0) timing.sustained = await timeSustained(runtime, sustainedSeconds);
  await runtime.close();
  process.send?.(timing);
  process.disconnect?.();
});
