import assert from "node:assert/strict";
import { test } from "node:test";
import type { GenerateRequest, Runtime } from "../runtime/runtime.ts";
import { kitContextTokens, timeGraph } from "./time-graph.ts";

const memory = {
  residentBytes: () => 5e6,
  peakBytes: () => 9e6,
  openWindow() {},
  windowPeakBytes: () => 9e6,
};

/** Answers at once, and remembers what it was asked. */
function instantRuntime(contextTokens: number): { runtime: Runtime; asked: string[] } {
  const asked: string[] = [];
  const unused = async (): Promise<never> => {
    throw new Error("a kit graph is timed by requests");
  };
  const runtime: Runtime = {
    engine: "ffi",
    kernel: null,
    loadMs: 7,
    cacheElementBytes: 2,
    contextTokens,
    vocabularySize: 100,
    crashed: new Promise(() => {}),
    async *generate({ tokens, maxTokens }: GenerateRequest) {
      asked.push(`${tokens.length}+${maxTokens}`);
      for (let count = 1; count <= maxTokens; count++)
        yield { tokenId: 1, finish: count === maxTokens ? ("length" as const) : null };
    },
    logitsAt: unused,
    topTokens: unused,
    close: async () => {},
  };
  return { runtime, asked };
}

const timed = (runtime: Runtime, limitMs: number) =>
  timeGraph({ graphId: "g", runtime, memory, bytesBeforeLoad: 1e6, limitMs }, new AbortController().signal);

test("a graph is timed by requests of three lengths in turns, after one that isn't counted", async () => {
  const { runtime, asked } = instantRuntime(kitContextTokens(4096, false));
  const { decode, prefill, loadedMemoryBytes, runningMemoryBytes } = await timed(runtime, 50);
  assert.deepEqual(asked.slice(0, 4), ["16+2", "16+1", "64+16", "128+1"]);
  assert.deepEqual(
    prefill.map(({ promptTokens }) => promptTokens),
    [16, 64, 128],
  );
  assert.deepEqual(
    decode.map(({ contextTokens }) => contextTokens),
    [72],
  );
  assert.equal(decode[0]?.ms.repetitions, prefill[2]?.ms.repetitions);
  assert.deepEqual([loadedMemoryBytes, runningMemoryBytes], [4e6, 4e6]);
});

test("without time left every length is timed once all the same", async () => {
  const { runtime, asked } = instantRuntime(kitContextTokens(4096, true));
  const { decode, prefill } = await timed(runtime, 0);
  assert.deepEqual(asked, ["16+2", "16+1", "64+16", "128+1", "16+2", "1024+16"]);
  assert.deepEqual([decode.at(-1)?.contextTokens, prefill.at(-1)?.promptTokens], [1032, 1024]);
  assert.ok([...decode, ...prefill].every(({ ms }) => ms.repetitions === 1));
});

test("a model of a short context is timed at the lengths that it has room for", async () => {
  const { runtime, asked } = instantRuntime(kitContextTokens(70, true));
  const { decode, prefill } = await timed(runtime, 0);
  assert.deepEqual(asked, ["16+2", "16+1"]);
  assert.deepEqual([decode.length, prefill.length], [0, 1]);
});
