import { performance } from "node:perf_hooks";
import type { KitTiming } from "@espalier/shared/contracts/profile";
import type { Runtime } from "../runtime/runtime.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { isEnough, summarize } from "./sample.ts";
import { timeRequest } from "./time-generation.ts";

/** Long enough that the stalls of a CPU quota, a few ms each, even out as they do in a request. */
const outputTokens = 16;
/** Further tokens cost the same whatever the prompt, but for attention, so one length tells. A longer prompt's pieces are as long as the last. */
const usualRequests: readonly Request[] = [
  { promptTokens: 16, maxTokens: 1 },
  { promptTokens: 64, maxTokens: outputTokens },
  { promptTokens: 128, maxTokens: 1 },
];
/** By which the cost of attention is told from that of the weights; the model's context allowing. */
const longRequest: Request = { promptTokens: 1024, maxTokens: outputTokens };
const warmUpTokens = 16;
const minRounds = 5;
const minLongRounds = 2;
/** Far below what two runs differ by. */
const enoughError = 0.015;
/** A long prompt's share of a graph's time. */
const longShare = 0.5;

interface Request {
  readonly promptTokens: number;
  readonly maxTokens: number;
}

/** Times of equal requests, ms. */
interface Point extends Request {
  readonly first: number[];
  readonly next: number[];
}

/** Context a graph needs for its points, at most what it allows. */
export function kitContextTokens(contextLength: number, long: boolean): number {
  const requests = long ? [longRequest] : usualRequests;
  return Math.min(contextLength, Math.max(...requests.map(roomOf)));
}

/**
 * Times a loaded kit graph as requests meet it, by the serving path: messages to the worker, sampling and stalls of a CPU quota
 * are part of what a first and a further token cost. Requests of all lengths take turns, so that whatever else the machine
 * does meanwhile falls on all of them.
 * @param limitMs after which no round begins; every length is timed once at least
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
  const loadPeakBytes = memory.windowPeakBytes();
  const loadedBytes = memory.residentBytes();
  memory.openWindow();
  const fits = (request: Request) => roomOf(request) <= runtime.contextTokens;
  const long = [longRequest].filter(fits);
  const usualMs = long.length === 0 ? limitMs : limitMs * (1 - longShare);
  const usual = await timeRounds(runtime, usualRequests.filter(fits), { minRounds, limitMs: usualMs }, signal);
  const longest = await timeRounds(runtime, long, { minRounds: minLongRounds, limitMs: limitMs - usualMs }, signal);
  const points = [...usual, ...longest];
  return {
    graphId,
    cacheTokens: runtime.contextTokens,
    cacheElementBytes: runtime.cacheElementBytes,
    decode: points
      .filter(({ next }) => next.length > 0)
      .map(({ promptTokens, next }) => ({ contextTokens: promptTokens + outputTokens / 2, ms: summarize(next) })),
    prefill: points.map(({ promptTokens, first }) => ({ promptTokens, ms: summarize(first) })),
    loadMs: runtime.loadMs,
    loadedMemoryBytes: Math.max(0, loadedBytes - bytesBeforeLoad),
    runningMemoryBytes: Math.max(0, memory.windowPeakBytes() - loadedBytes),
    loadPeakMemoryBytes: Math.max(0, loadPeakBytes - bytesBeforeLoad),
  };
}

function roomOf({ promptTokens, maxTokens }: Request): number {
  return promptTokens + maxTokens;
}

/** One uncounted short request, then rounds of one request each until all medians are known well or the time is up. */
async function timeRounds(
  runtime: Runtime,
  requests: readonly Request[],
  until: { minRounds: number; limitMs: number },
  signal: AbortSignal,
): Promise<Point[]> {
  const points = requests.map((request): Point => ({ ...request, first: [], next: [] }));
  if (points.length === 0) return [];
  const policy = { minRepetitions: until.minRounds, maxMs: until.limitMs, relativeError: enoughError };
  // The same few rows of the embedding, whose pages come in as tokens use them: what they can take follows from its size.
  const prompt = (tokens: number) => Array.from({ length: tokens }, (_, i) => i % runtime.vocabularySize);
  await timeRequest(runtime, prompt(warmUpTokens), 2, signal);
  const startMs = performance.now();
  do {
    for (const { promptTokens, maxTokens, first, next } of points) {
      const { ttftMs, tpotMs } = await timeRequest(runtime, prompt(promptTokens), maxTokens, signal);
      first.push(ttftMs);
      if (maxTokens > 1) next.push(tpotMs);
    }
  } while (
    !points
      .flatMap(({ first, next }) => (next.length > 0 ? [first, next] : [first]))
      .every((times) => isEnough(times, performance.now() - startMs, policy))
  );
  return points;
}
