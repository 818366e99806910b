import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { Cancelled, Decoder } from "./decoder.ts";
import type { Engine } from "./engine.ts";
import { openEngine } from "./open-engine.ts";
import { greedy } from "./sampling.ts";

describe("a long prompt", () => {
  let engine: Engine;
  /** Tokens of each run of the engine, in order. */
  const runs: number[] = [];
  before(async () => {
    const { folder, manifest } = await tinyArtifact("dense-fp32");
    const { graph } = manifest;
    const modelFile = join(folder, graph.file);
    ({ engine } = await openEngine(
      { modelFile, graph, threads: 1, capacity: 512, spinning: false, kernel: "stock", cacheScales: null },
      "binding",
    ));
    const run = engine.run.bind(engine);
    engine.run = (span, tokens, ...rest) => {
      runs.push(tokens.length);
      return run(span, tokens, ...rest);
    };
  });
  after(() => engine.close());
  const request = {
    tokens: Array.from({ length: 400 }, (_, i) => 1 + (i % 200)),
    maxTokens: 2,
    sampling: greedy,
    stopTokenIds: [],
  };

  it("is computed in pieces, between which others have their turns", async () => {
    runs.length = 0;
    for await (const _ of new Decoder(engine).generate(request, () => false));
    assert.deepEqual(runs, [128, 128, 128, 16, 1]);
  });

  it("that is cancelled in its middle is computed no further, and leaves its room to the next", async () => {
    runs.length = 0;
    const decoder = new Decoder(engine);
    let isCancelled = false;
    const steps = decoder.generate(request, () => isCancelled);
    assert.deepEqual(await steps.next(), { done: false, value: null });
    isCancelled = true;
    await assert.rejects(steps.next(), Cancelled);
    assert.deepEqual(runs, [128]);
    for await (const _ of decoder.generate(request, () => false));
    assert.deepEqual(runs, [128, 128, 128, 128, 16, 1]);
  });
});
