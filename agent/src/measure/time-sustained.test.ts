import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Runtime } from "../runtime/runtime.ts";
import { timeSustained } from "./time-sustained.ts";

/** Generates without a model: what is told apart here is the beginning and the end of the time, not the tokens. */
const runtime = {
  vocabularySize: 10,
  async *generate({ maxTokens }: { maxTokens: number }) {
    for (let n = 0; n < maxTokens; n++) {
      await turn();
      yield { tokenId: n };
    }
  },
} as unknown as Runtime;

test("a device is kept busy for the time asked, and its beginning and end are told apart", async () => {
  const startMs = performance.now();
  const { seconds, first, last } = await timeSustained(runtime, 0.2);
  assert.ok(performance.now() - startMs >= 200);
  assert.equal(seconds, 0.2);
  for (const sample of [first, last]) assert.ok(sample.repetitions > 0 && sample.median > 0);
});
