import type { Runtime } from "../runtime/runtime.ts";
import { greedy } from "../runtime/sampling.ts";

/** One request after another, each for as much as fits, until one fails: that there is something to interrupt at any time. */
export async function serveForEver(runtime: Runtime, signal?: AbortSignal): Promise<never> {
  const request = { tokens: [1], maxTokens: runtime.contextTokens - 1, sampling: greedy, stopTokenIds: [] };
  for (;;) for await (const _ of runtime.generate(request, signal));
}
