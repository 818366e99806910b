import { performance } from "node:perf_hooks";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { VariantTiming } from "@espalier/shared/contracts/profile";
import type { Limits } from "@espalier/shared/contracts/rollout-spec";
import { judgeLimit } from "@espalier/shared/limit-test";
import type { Runtime } from "../runtime/runtime.ts";
import { greedy } from "../runtime/sampling.ts";
import { startEnergyMeter } from "./energy-meter.ts";
import { summarize } from "./sample.ts";

export interface GenerationTask {
  readonly artifactDigest: Digest;
  readonly runtime: Runtime;
  /** Real tokens; repeated or cut to `promptTokens`. */
  readonly text: readonly number[];
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Times go on until they tell whether these 90th percentiles are kept. */
  readonly limits: TimeLimits;
  /** Peak resident memory, asked after the runs. */
  readonly peakMemoryBytes: () => number;
  /** `/sys`, where energy counters are. */
  readonly sys: string;
}

export type TimeLimits = Pick<Limits, "ttftP90Ms" | "tpotP90Ms">;

const minRequests = 5;
const usualRequests = 12;
const usualMs = 6_000;
/** A device whose times lie about the limit is not timed for ever: the gate calls it inconclusive. */
const maxRequests = 60;
const maxMs = 60_000;

/** Whether requests that took these times, in `elapsedMs` together, are enough to go by. Pure. */
export function isTimedEnough(
  { ttftMs, tpotMs }: { ttftMs: readonly number[]; tpotMs: readonly number[] },
  elapsedMs: number,
  { ttftP90Ms, tpotP90Ms }: TimeLimits,
): boolean {
  const requests = ttftMs.length;
  if (requests < minRequests) return false;
  if (requests < usualRequests && elapsedMs < usualMs) return false;
  const tells = (times: readonly number[], limitMs: number | undefined) =>
    limitMs === undefined || judgeLimit(times, limitMs) !== "undecided";
  return requests >= maxRequests || elapsedMs >= maxMs || (tells(ttftMs, ttftP90Ms) && tells(tpotMs, tpotP90Ms));
}

/**
 * Times a variant by the path that serves requests: prefill of a prompt, then tokens one by one without a stop token.
 * The first request warms up and is not counted.
 */
export async function timeGeneration(task: GenerationTask, signal: AbortSignal): Promise<VariantTiming> {
  const { runtime, artifactDigest } = task;
  const promptTokens = Math.min(task.promptTokens, runtime.contextTokens - task.outputTokens);
  const prompt = Array.from({ length: promptTokens }, (_, i) => task.text[i % task.text.length] ?? 0);
  const ttftMs: number[] = [];
  const tpotMs: number[] = [];
  await timeRequest(runtime, prompt, Math.min(4, task.outputTokens), signal);
  const energy = await startEnergyMeter(task.sys);
  const startedMs = performance.now();
  while (!isTimedEnough({ ttftMs, tpotMs }, performance.now() - startedMs, task.limits)) {
    const timed = await timeRequest(runtime, prompt, task.outputTokens, signal);
    ttftMs.push(timed.ttftMs);
    tpotMs.push(timed.tpotMs);
  }
  const joules = await energy();
  const tokens = ttftMs.length * task.outputTokens;
  return {
    artifactDigest,
    promptTokens,
    outputTokens: task.outputTokens,
    ttftMs: summarize(ttftMs),
    tpotMs: summarize(tpotMs),
    ttftEachMs: ttftMs,
    tpotEachMs: tpotMs,
    peakMemoryBytes: task.peakMemoryBytes(),
    joulesPerToken: joules === null ? null : joules / tokens,
    loadMs: runtime.loadMs,
  };
}

/** One greedy request: time to its first token and its mean time per token after that, in ms. */
export async function timeRequest(
  runtime: Runtime,
  tokens: readonly number[],
  maxTokens: number,
  signal: AbortSignal,
): Promise<{ ttftMs: number; tpotMs: number }> {
  const startMs = performance.now();
  let firstMs = startMs;
  let lastMs = startMs;
  let count = 0;
  for await (const _ of runtime.generate({ tokens, maxTokens, sampling: greedy, stopTokenIds: [] }, signal)) {
    lastMs = performance.now();
    if (count++ === 0) firstMs = lastMs;
  }
  return { ttftMs: firstMs - startMs, tpotMs: count > 1 ? (lastMs - firstMs) / (count - 1) : 0 };
}
