import assert from "node:assert/strict";
import { test } from "node:test";
import { formats, shapeOf } from "../testing/synthetic-device.ts";
import { attentionParameters, ffnColumns, ffnParameters, layerParameters, storedRowBytes } from "./layer-cost.ts";

/** Shapes of a layer's linear weights as the exporter lists them: hidden size 128, heads of 32, an FFN of 192. */
interface Tensors {
  qkv: number[];
  output: number[];
  gateUp: number[];
  down: number[];
}

/** In fp32 `[rows, columns]`; in q8b128 `[rows, blocks, 128]`, where a row of `down` ends with a whole block. */
const llama = {
  plain: { qkv: [256, 128], output: [128, 128], gateUp: [384, 128], down: [128, 192] },
  blocks: { qkv: [256, 1, 128], output: [128, 1, 128], gateUp: [384, 1, 128], down: [128, 2, 128] },
};
const opt = {
  plain: { qkv: [384, 128], output: [128, 128], gateUp: [192, 128], down: [128, 192] },
  blocks: { qkv: [384, 1, 128], output: [128, 1, 128], gateUp: [192, 1, 128], down: [128, 2, 128] },
};

const elements = (tensor: number[]) => tensor.reduce((product, size) => product * size, 1);
const sizes = { ...shapeOf(formats.q8b128, 1, 192), hiddenSize: 128, headSize: 32 };

for (const { name, tensors, shape, layer } of [
  { name: "Llama", tensors: llama, shape: sizes, layer: { heads: 4, kvHeads: 2, ffnSize: 192 } },
  {
    name: "OPT",
    tensors: opt,
    shape: { ...sizes, ungatedFfn: true as const },
    layer: { heads: 4, kvHeads: 4, ffnSize: 192 },
  },
]) {
  test(`a layer of ${name} has the parameters that its tensors hold`, () => {
    const { qkv, output, gateUp, down }: Tensors = tensors.plain;
    assert.equal(attentionParameters(shape, layer), elements(qkv) + elements(output));
    assert.equal(ffnParameters(shape, layer), elements(gateUp) + elements(down));
    assert.equal(
      layerParameters(shape, layer),
      [qkv, output, gateUp, down].map(elements).reduce((a, b) => a + b),
    );
  });

  test(`the FFN columns of ${name} are its stored elements over those of one column`, () => {
    const { gateUp, down }: Tensors = tensors.blocks;
    const ofOneColumn = (elements(tensors.plain.gateUp) + elements(tensors.plain.down)) / layer.ffnSize;
    assert.equal(ffnColumns(shape, layer), (elements(gateUp) + elements(down)) / ofOneColumn);
  });
}

test("a stored row is whole blocks with their scales and zero points", () => {
  // As the exporter lists SmolLM2's: data [18, 16] and [5, 128], scales [18] and [5], zero points [9].
  assert.equal(storedRowBytes(formats.q4b32a, 576), 18 * 16 + 4 * 18 + 9);
  assert.equal(storedRowBytes(formats.q8b128, 576), 5 * 128 + 4 * 5);
  assert.equal(storedRowBytes({ bits: 32, blockSize: 0, symmetric: true, accuracyLevel: 0 }, 576), 4 * 576);
});
