import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { openEngine } from "./open-engine.ts";
import { holdOrtLibrary } from "./ort-library.ts";

test("requests one after another get their logits in one memory, so that serving many leaves nothing to collect", async () => {
  holdOrtLibrary();
  const { folder, manifest } = await tinyArtifact("dense-q4b32");
  const { graph } = manifest;
  const modelFile = join(folder, graph.file);
  const options = { modelFile, graph, threads: 1, capacity: 64, spinning: false, kernel: "auto", cacheScales: null };
  const { engine } = await openEngine(options, "ffi");
  try {
    const memories = new Set<ArrayBufferLike>();
    for (let request = 0; request < 4; request++) {
      const span = { start: 16 * request, capacity: 16 };
      for (const [tokens, past] of [
        [[1, 2, 3], 0],
        [[4], 3],
      ] as const) {
        const logits = await engine.run(span, tokens, past, [tokens.length - 1]);
        assert.equal(logits.length, graph.vocabularySize);
        memories.add(logits.buffer);
      }
      engine.forget(span);
    }
    assert.equal(memories.size, 1);
  } finally {
    await engine.close();
  }
});
