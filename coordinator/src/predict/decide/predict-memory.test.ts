import assert from "node:assert/strict";
import { test } from "node:test";
import type { VariantShape } from "@espalier/shared/contracts/shape";
import { kit, measurements, near, predict } from "../testing/predict-synthetic.ts";
import { formats, ordinaryCosts, shapeOf, syntheticTimings } from "../testing/synthetic-device.ts";
import { kvCacheElements } from "./layer-cost.ts";

test("peak memory is base, weights, tokenizer, KV cache, the embedding's rows and working memory", () => {
  const shape = shapeOf(formats.q4b32a, 30, 1536);
  const tokenizer = 1000 * shape.vocabularySize;
  const rows = shape.vocabularySize * (5 * 128 + 5 * 4);
  assert.equal(kvCacheElements(shape, 1), 30 * 2 * 3 * 64);
  for (const elementBytes of [4, 2]) {
    const cache = elementBytes * kvCacheElements(shape, 2048);
    const truth = ordinaryCosts.baseMemoryBytes + 1e6 + 1.1 * shape.weightBytes + tokenizer + cache + rows + 5e6;
    const timings = syntheticTimings(kit, ordinaryCosts, 0.01, null, elementBytes);
    const kitTimings = { kitDigest: measurements.kit!.kitDigest, timings };
    near(predict({ shape, measurements: { ...measurements, kit: kitTimings } }).peakMemoryBytes.value, truth, 0.001);
  }
});

test("a cache of int8 is counted where the agent's own kernels run, and of floats where ONNX Runtime attends", () => {
  const shape = shapeOf(formats.q4b32a, 30, 1536);
  const peak = (elementBytes: number, kvCache: Pick<VariantShape, "kvCache">) => {
    const timings = syntheticTimings(kit, ordinaryCosts, 0.01, null, elementBytes);
    const timed = { ...measurements, kit: { kitDigest: kit.modelDigest, timings } };
    return predict({ shape: { ...shape, ...kvCache }, measurements: timed }).peakMemoryBytes.value;
  };
  near(peak(2, {}) - peak(2, { kvCache: "int8" }), kvCacheElements(shape, 2048), 1e-9);
  assert.equal(peak(4, { kvCache: "int8" }), peak(4, {}));
});

test("where loading takes more than the cache and the runs after it, the peak is the loading's", () => {
  const shape = shapeOf(formats.q4b32a, 30, 1536);
  const tokenizer = 1000 * shape.vocabularySize;
  const timings = measurements.kit!.timings.map((timing) => ({
    ...timing,
    loadPeakMemoryBytes: 200e6 + 1.2 * kit.graphs.find(({ id }) => id === timing.graphId)!.weightsBytes,
  }));
  const { peakMemoryBytes } = predict({
    shape,
    measurements: { ...measurements, kit: { ...measurements.kit!, timings } },
  });
  near(peakMemoryBytes.value, ordinaryCosts.baseMemoryBytes + tokenizer + 200e6 + 1.2 * shape.weightBytes, 1e-6);
});
