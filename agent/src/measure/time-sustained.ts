import { performance } from "node:perf_hooks";
import type { KitTiming } from "@espalier/shared/contracts/profile";
import type { Runtime } from "../runtime/runtime.ts";
import { summarize } from "./sample.ts";
import { timeRequest } from "./time-generation.ts";

const promptTokens = 64;
const outputTokens = 16;
/** Of the whole time, for what counts as its beginning and its end. */
const part = 0.1;

/** Serves one request after another for `seconds`: a device that gets too hot ends slower than it began. */
export async function timeSustained(runtime: Runtime, seconds: number): Promise<NonNullable<KitTiming["sustained"]>> {
  const signal = AbortSignal.timeout(seconds * 1000 + 120_000);
  const prompt = Array.from({ length: promptTokens }, (_, i) => i % runtime.vocabularySize);
  const startMs = performance.now();
  const requests: { share: number; tpotMs: number }[] = [];
  for (let share = 0; share < 1; share = (performance.now() - startMs) / (seconds * 1000)) {
    const { tpotMs } = await timeRequest(runtime, prompt, outputTokens, signal);
    requests.push({ share, tpotMs });
  }
  const timesWhere = (matches: (share: number) => boolean) =>
    requests.filter(({ share }) => matches(share)).map(({ tpotMs }) => tpotMs);
  const first = timesWhere((share) => share <= part);
  const last = timesWhere((share) => share >= 1 - part);
  // One request may take longer than a part.
  return {
    seconds,
    first: summarize(first),
    last: summarize(last.length > 0 ? last : timesWhere((share) => share > 0.5)),
  };
}
