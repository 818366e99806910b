import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { kernelLibraryFile } from "./kernel-library.ts";
import { loadRuntime } from "./load-runtime.ts";

test("matrices of 4 and 8 bits in one graph give on the agent's kernels what ONNX Runtime's own give", async (t) => {
  const { folder, manifest } = await tinyArtifact("dense-q6mb32");
  const { layers, exceptions } = manifest.shape;
  const wide = exceptions?.length ?? 0;
  assert.ok(wide > 0 && wide < 4 * layers.length, `${wide} of ${4 * layers.length} matrices have 8 bits`);
  if (!existsSync(kernelLibraryFile())) return t.skip(`there is no ${kernelLibraryFile()}`);
  const tokens = Array.from({ length: 150 }, (_, i) => (i * 31) % 1000);
  const indices = Array.from({ length: manifest.graph.vocabularySize }, (_, i) => i);
  const [ours, stock] = await Promise.all(
    ["auto", "stock"].map(async (kernel) => {
      const log = { info: () => {}, warn: () => {} };
      const runtime = await loadRuntime({ folder, graph: manifest.graph, threads: 1, contextTokens: 256, kernel, log });
      try {
        return await runtime.logitsAt(tokens, indices);
      } finally {
        await runtime.close();
      }
    }),
  );
  assert.ok(ours !== undefined && stock !== undefined);
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
  assert.ok(dot(ours, stock) / Math.sqrt(dot(ours, ours) * dot(stock, stock)) > 0.999);
});
