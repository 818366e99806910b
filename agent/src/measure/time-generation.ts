import { performance } from "node:perf_hooks";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { VariantTiming } from "@espalier/shared/contracts/profile";
import type { Runtime } from "../runtime/runtime.ts";
import { greedy } from "../runtime/sampling.ts";
import { summarize } from "./sample.ts";

export interface GenerationTask {
  readonly artifactDigest: Digest;
  readonly runtime: Runtime;
  /** Real tokens; repeated or cut to `promptTokens`. */
  readonly text: readonly number[];
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Peak resident memory, asked after the runs. */
  readonly peakMemoryBytes: () => number;
}

const minRepetitions = 5;
const maxRepetitions = 12;
const enoughMs = 6_000;

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
  const startedMs = performance.now();
  while (
    ttftMs.length < minRepetitions ||
    (ttftMs.length < maxRepetitions && performance.now() - startedMs < enoughMs)
  ) {
    const timed = await timeRequest(runtime, prompt, task.outputTokens, signal);
    ttftMs.push(timed.ttftMs);
    tpotMs.push(timed.tpotMs);
  }
  return {
    artifactDigest,
    promptTokens,
    outputTokens: task.outputTokens,
    ttftMs: summarize(ttftMs),
    tpotMs: summarize(tpotMs),
    peakMemoryBytes: task.peakMemoryBytes(),
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
