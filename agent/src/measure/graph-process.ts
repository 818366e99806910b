import type { GraphContract } from "@espalier/shared/contracts/manifest";
import type { KitTiming } from "@espalier/shared/contracts/profile";
import { createLogger } from "@espalier/shared/logging";
import { loadRuntime } from "../runtime/load-runtime.ts";
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
  /** What it should take at most, loading apart; on a device too slow for it repetitions are fewer. */
  limitMs: number;
  /** Keep it busy for so long afterwards; 0: not. */
  sustainedSeconds: number;
  /** `/sys`, where energy counters are. */
  sys: string;
}

/**
 * Entry of a child process that times one kit graph. In a process of its own the growth of resident memory is the graph's:
 * memory that an earlier model freed but the allocator kept would hide it.
 */
process.once("message", async (task: GraphTask) => {
  const log = createLogger("kit", "warn");
  const memory = createProcessMemory();
  const bytesBeforeLoad = memory.residentBytes();
  memory.openWindow();
  const contextTokens = kitContextTokens(task.graph.contextLength, task.long);
  const { graphId, folder, graph, threads, spinning, limitMs } = task;
  const dataFiles = [task.weightsFile];
  const runtime = await loadRuntime({ folder, graph, dataFiles, threads, spinning, contextTokens, log });
  const power = await startPowerMeter(task.sys);
  const timed = await timeGraph({ graphId, runtime, memory, bytesBeforeLoad, limitMs }, AbortSignal.timeout(120_000));
  const timing: KitTiming = { ...timed, watts: await power() };
  const { sustainedSeconds } = task;
  if (sustainedSeconds > 0) timing.sustained = await timeSustained(runtime, sustainedSeconds);
  await runtime.close();
  process.send?.(timing);
  process.disconnect?.();
});
