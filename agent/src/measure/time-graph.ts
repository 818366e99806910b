import { performance } from "node:perf_hooks";
import type { KitTiming, Sample } from "@espalier/shared/contracts/profile";
import type { Runtime } from "../runtime/runtime.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { isEnough, type RepeatPolicy, summarize } from "./sample.ts";
import { timeRequest } from "./time-generation.ts";

const decodePrompts = [64, 256];
/** Long enough that the stalls of a CPU quota, a few ms each, even out as they do in a request. */
const decodeOutputs = 16;
const prefillLengths = [16, 64, 128];
/** By which the cost of attention is told from that of the weights; the model's context allowing. */
const longPromptTokens = 1024;
const policy = { minRepetitions: 6, maxMs: 800, relativeSpread: 0.04 };
const decodePolicy = { minRepetitions: 5, maxMs: 1200, relativeSpread: 0.04 };
const longPolicy = { minRepetitions: 3, maxMs: 4000, relativeSpread: 0.04 };
/** What all points but the long ones take at most where there is time. */
const unhurriedMs = decodePrompts.length * decodePolicy.maxMs + prefillLengths.length * policy.maxMs;
/** Few, so that a slow device, where one run takes longer than all should, stops soon. */
const batch = 3;

/** Context a graph needs for its points, at most what it allows. */
export function kitContextTokens(contextLength: number, long: boolean): number {
  const longest = long ? longPromptTokens : Math.max(...decodePrompts);
  return Math.min(contextLength, longest + decodeOutputs);
}

/**
 * Times a loaded kit graph. Decode is timed as a request meets it, by the serving path (sampling, the worker's messages,
 * stalls of a CPU quota), prefill as single runs.
 */
export async function timeGraph(
  {
    graphId,
    runtime,
    memory,
    bytesBeforeLoad,
    limitMs,
  }: { graphId: string; runtime: Runtime; memory: ProcessMemory; bytesBeforeLoad: number; limitMs: number },
  signal: AbortSignal,
): Promise<Omit<KitTiming, "watts">> {
  const hurry = Math.min(1, limitMs / unhurriedMs);
  const loadedBytes = memory.residentBytes();
  const point = (contextTokens: number, newTokens: number): Promise<Sample> =>
    repeat(hurried(policy, hurry), () => runtime.timeSteps({ contextTokens, newTokens, repetitions: batch }, signal));
  const decode: KitTiming["decode"] = [];
  for (const promptTokens of decodePrompts) {
    if (promptTokens + decodeOutputs > runtime.contextTokens) continue;
    const prompt = Array.from({ length: promptTokens }, (_, i) => i % runtime.vocabularySize);
    const request = async () => [(await timeRequest(runtime, prompt, decodeOutputs, signal)).tpotMs];
    await request();
    const contextTokens = promptTokens + decodeOutputs / 2;
    decode.push({ contextTokens, ms: await repeat(hurried(decodePolicy, hurry), request) });
  }
  const prefill: KitTiming["prefill"] = [];
  for (const promptTokens of prefillLengths)
    if (promptTokens <= runtime.contextTokens) prefill.push({ promptTokens, ms: await point(0, promptTokens) });
  if (longPromptTokens + decodeOutputs <= runtime.contextTokens) {
    const { first, next } = await timeLong(runtime, hurried(longPolicy, hurry), signal);
    decode.push({ contextTokens: longPromptTokens + decodeOutputs / 2, ms: next });
    prefill.push({ promptTokens: longPromptTokens, ms: first });
  }
  return {
    graphId,
    cacheTokens: runtime.contextTokens,
    cacheElementBytes: runtime.cacheElementBytes,
    decode,
    prefill,
    loadMs: runtime.loadMs,
    loadedMemoryBytes: Math.max(0, loadedBytes - bytesBeforeLoad),
    runningMemoryBytes: Math.max(0, memory.windowPeakBytes() - loadedBytes),
  };
}

/** Requests with a long prompt: time to the first token, and per token after it. */
async function timeLong(
  runtime: Runtime,
  until: RepeatPolicy,
  signal: AbortSignal,
): Promise<{ first: Sample; next: Sample }> {
  const prompt = Array.from({ length: longPromptTokens }, (_, i) => i % runtime.vocabularySize);
  const next: number[] = [];
  const first = await repeat(until, async () => {
    const { ttftMs, tpotMs } = await timeRequest(runtime, prompt, decodeOutputs, signal);
    next.push(tpotMs);
    return [ttftMs];
  });
  return { first, next: summarize(next) };
}

function hurried(until: RepeatPolicy, share: number): RepeatPolicy {
  return { ...until, maxMs: until.maxMs * share };
}

async function repeat(until: RepeatPolicy, run: () => Promise<number[]>): Promise<Sample> {
  const values: number[] = [];
  const startMs = performance.now();
  do values.push(...(await run()));
  while (!isEnough(values, performance.now() - startMs, until));
  return summarize(values);
}
