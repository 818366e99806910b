import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { GraphContract } from "@espalier/shared/contracts/manifest";
import { readCacheScales } from "./cache-scales.ts";

const graph: GraphContract = {
  version: 1,
  file: "model.onnx",
  opset: 21,
  kvDtype: "float32",
  layers: Array.from({ length: 2 }, () => ({ kvHeads: 2, headSize: 4 })),
  vocabularySize: 8,
  contextLength: 16,
};
const heads = (scale = 0.5): number[][] => [
  [1, 2, 3, scale],
  [5, 6, 7, 8],
];
const layer = (keyScales = heads(), valueScales = heads()) => ({ keyScales, valueScales });

describe("a cache's scales", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "espalier-scales-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  const read = async (content: unknown) => {
    await writeFile(join(folder, "kv-cache.json"), JSON.stringify(content));
    return readCacheScales(folder, graph);
  };

  it("are those of each layer's heads, one after another", async () => {
    const scales = await read({ format: "int8", layers: [layer(), layer(heads(0.25))] });
    assert.deepEqual(
      scales.map(({ past }) => past),
      ["past_key_values.0.key", "past_key_values.1.key"],
    );
    assert.deepEqual(scales[1]?.keyScales, Float32Array.of(1, 2, 3, 0.25, 5, 6, 7, 8));
    assert.deepEqual(scales[1]?.valueScales, Float32Array.of(1, 2, 3, 0.5, 5, 6, 7, 8));
  });

  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ["another format", { format: "int4", layers: [layer(), layer()] }, /format/],
    ["another number of layers", { format: "int8", layers: [layer()] }, /1 layers, the graph 2/],
    ["another number of heads", { format: "int8", layers: [layer(), layer(heads().slice(1))] }, /keyScales of layer 1/],
    [
      "heads of another size",
      { format: "int8", layers: [layer(heads(), [[1], [2]]), layer()] },
      /valueScales of layer 0/,
    ],
    ["a scale of zero", { format: "int8", layers: [layer(heads(0)), layer()] }, /keyScales/],
    ["one that no float holds", { format: "int8", layers: [layer(heads(1e-60)), layer()] }, /positive and finite/],
  ];
  for (const [what, content, message] of wrong)
    it(`are refused with ${what}`, async () => {
      await assert.rejects(read(content), { code: "runtime.load-failed", message });
    });

  it("are refused where there is no file", async () => {
    await rm(join(folder, "kv-cache.json"));
    await assert.rejects(readCacheScales(folder, graph), { code: "runtime.unsafe-file" });
  });
});
