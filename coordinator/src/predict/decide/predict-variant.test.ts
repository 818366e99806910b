import assert from "node:assert/strict";
import { test } from "node:test";
import { upperEndOf } from "@espalier/shared/contracts/plan";
import type { Measurements } from "@espalier/shared/contracts/profile";
import type { VariantShape } from "@espalier/shared/contracts/shape";
import { kit, measurements, near, predict, requestFor } from "../testing/predict-synthetic.ts";
import {
  formats,
  ordinaryCosts,
  shapeOf,
  syntheticKit,
  syntheticProfile,
  syntheticTimings,
  trueDecodeMs,
  truePrefillMs,
} from "../testing/synthetic-device.ts";
import { predictVariant } from "./predict-variant.ts";

test("time per output token of a shape the kit never ran is what the device's costs say", () => {
  for (const shape of [shapeOf(formats.q4b32a, 30, 1536), shapeOf(formats.q4b128a, 24, 1024)]) {
    const contexts = Array.from({ length: 23 }, (_, i) => 65 + i);
    const truth = contexts.reduce((sum, c) => sum + trueDecodeMs(ordinaryCosts, shape, c), 0) / contexts.length;
    near(predict({ shape }).tpotMs.value, truth, 1e-6);
  }
});

test("time to first token is the cost of prefill at the prompt's length", () => {
  const shape = shapeOf(formats.q8b128, 30, 1152);
  near(predict({ shape }).ttftMs.value, truePrefillMs(ordinaryCosts, shape, 64), 1e-6);
});

test("layers of different FFN sizes count each by its own", () => {
  const even = shapeOf(formats.q8b128, 30, 1024);
  const uneven = { ...even, layers: even.layers.map((layer, i) => ({ ...layer, ffnSize: i % 2 === 0 ? 512 : 1536 })) };
  near(predict({ shape: uneven }).tpotMs.value, predict({ shape: even }).tpotMs.value, 1e-9);
});

test("uncertainty has a floor, and grows with the spread of the samples and beyond the measured lengths", () => {
  const calm = predict().tpotMs.relativeUncertainty;
  assert.ok(calm >= 0.05);
  const noisy = {
    ...measurements,
    kit: { kitDigest: measurements.kit!.kitDigest, timings: syntheticTimings(kit, ordinaryCosts, 0.2) },
  };
  const spread = predict({ measurements: noisy }).tpotMs.relativeUncertainty;
  assert.ok(spread > calm + 0.15, `${spread} after ${calm}`);
  assert.ok(predict({ promptTokens: 1024 }).ttftMs.relativeUncertainty > predict().ttftMs.relativeUncertainty + 0.2);
});

test("a device whose runs of the same graph lie apart is predicted by their mean, and with that spread", () => {
  const { kitDigest, timings } = measurements.kit!;
  const slower = timings.map((timing, index) => ({
    ...timing,
    decode: timing.decode.map(({ contextTokens, ms }) => {
      // One run is faster by a fifth, or slower.
      const median = ms.median * (index % 2 === 0 ? 1.2 : 1 / 1.2);
      return { contextTokens, ms: { ...ms, median, p90: median * 1.01 } };
    }),
  }));
  const once = predict();
  const twice = predict({ measurements: { ...measurements, kit: { kitDigest, timings: [...timings, ...slower] } } });
  const deviation = Math.log(1.2) / Math.SQRT2;
  const { relativeUncertainty } = twice.tpotMs;
  // Student's quantile for nine pairs is 1.83; what the kit's own runs add depends on the shape.
  assert.ok(
    relativeUncertainty > 1.83 * deviation && relativeUncertainty < 3 * 1.83 * deviation,
    `${relativeUncertainty}`,
  );
  assert.ok(twice.ttftMs.relativeUncertainty < relativeUncertainty / 2);
  near(twice.ttftMs.value, once.ttftMs.value, 1e-9);
});

test("one measured FFN size still predicts other widths, with more uncertainty", () => {
  const narrow = syntheticKit([
    { depth: 2, ffnSize: 1536 },
    { depth: 6, ffnSize: 1536 },
  ]);
  const profile = syntheticProfile({ deviceId: "d", kit: narrow });
  const request = { kit: narrow, measurements: profile.measurements };
  const full = predict({ ...request, shape: shapeOf(formats.q8b128, 30, 1536) });
  near(full.tpotMs.value, predict().tpotMs.value, 0.001);
  const half = predict({ ...request, shape: shapeOf(formats.q8b128, 30, 768) });
  assert.ok(half.tpotMs.value < full.tpotMs.value);
  assert.ok(half.tpotMs.relativeUncertainty > 0.1);
});

test("a variant of two formats costs each matrix what its own format does", () => {
  const narrow = shapeOf(formats.q4b128a, 30, 1536);
  const wide = shapeOf(formats.q8b128, 30, 1536);
  const matrices = ["attention.qkv", "attention.output", "ffn.gate_up", "ffn.down"] as const;
  const widened = [0, 1, 2, 3, 4, 29];
  const mixed: VariantShape = {
    ...narrow,
    exceptions: widened.flatMap((layer) => matrices.map((matrix) => ({ layer, matrix, format: formats.q8b128 }))),
    weightBytes: narrow.weightBytes + (6 / 30) * (wide.weightBytes - narrow.weightBytes),
  };
  const found = predict({ shape: mixed });
  const [low, high] = [predict({ shape: narrow }), predict({ shape: wide })];
  for (const quantity of ["tpotMs", "ttftMs", "peakMemoryBytes"] as const) {
    near(found[quantity].value, low[quantity].value + 0.2 * (high[quantity].value - low[quantity].value), 1e-9);
    assert.ok(found[quantity].relativeUncertainty >= 0.02);
  }
  const one = { ...mixed, exceptions: [{ layer: 3, matrix: "ffn.down", format: formats.q8b128 } as const] };
  const share = (576 * 1536) / (2 * 576 * 64 * 12 + 3 * 576 * 1536) / 30;
  near(predict({ shape: one }).tpotMs.value, low.tpotMs.value + share * (high.tpotMs.value - low.tpotMs.value), 1e-9);
  const unknown = { ...mixed, linearFormat: { ...formats.q4b128a, blockSize: 64 } as const };
  const refused = predictVariant(requestFor({ shape: unknown }));
  assert.ok(!refused.ok && refused.problem === "format-not-measured");
});

test("disk counts the variant that is kept for rollback, and download time follows the measured rate of what travels", () => {
  const prediction = predict({ previousArtifactBytes: 50e6 });
  assert.equal(prediction.diskBytes.value, 350e6);
  assert.equal(prediction.downloadSeconds?.value, 1.3);
});

test("a format that was not measured is refused by kind, not guessed", () => {
  const shape = {
    ...shapeOf(formats.q8b128, 30, 1536),
    linearFormat: { bits: 32, blockSize: 0, symmetric: true, accuracyLevel: 0 } as const,
  };
  const result = predictVariant(requestFor({ shape }));
  assert.ok(!result.ok && result.problem === "format-not-measured");
  assert.match(result.message, /fp32/);
});

test("a shape of another hidden size or other heads is refused", () => {
  const shape = shapeOf(formats.q8b128, 30, 1536);
  for (const other of [
    { ...shape, hiddenSize: 1024 },
    { ...shape, layers: [{ heads: 8, kvHeads: 8, ffnSize: 1536 }] },
  ]) {
    const result = predictVariant(requestFor({ shape: other }));
    assert.ok(!result.ok && result.problem === "shape-differs");
  }
});

test("a device that never told its memory without a model is refused", () => {
  const result = predictVariant(requestFor({ measurements: { ...measurements, baseMemoryBytes: null } }));
  assert.ok(!result.ok && result.problem === "memory-not-measured");
});

test("how far requests lie above their median is told apart from how far runs' medians do", () => {
  const { kitDigest, timings } = measurements.kit!;
  const scattered = timings.map((timing) => ({
    ...timing,
    decode: timing.decode.map((point) => ({ ...point, ms: { ...point.ms, p90: 1.3 * point.ms.median } })),
  }));
  const [calm, busy] = [
    predict(),
    predict({ measurements: { ...measurements, kit: { kitDigest, timings: scattered } } }),
  ];
  near(busy.tpotMs.p90Excess, 0.3, 1e-9);
  near(busy.tpotMs.relativeUncertainty, calm.tpotMs.relativeUncertainty, 1e-9);
  near(upperEndOf(busy.tpotMs), busy.tpotMs.value * (1 + calm.tpotMs.relativeUncertainty) * 1.3, 1e-9);
  assert.deepEqual(busy.ttftMs, calm.ttftMs);
});

test("under a CPU quota a request may meet one stall more than the median one, which weighs most where it is short", () => {
  const [free, half] = [predict(), predict({ cpuQuota: 0.5 })];
  const addedMs = (a: typeof free.tpotMs, b: typeof free.tpotMs) => b.value * (b.p90Excess - a.p90Excess);
  assert.equal(half.tpotMs.value, free.tpotMs.value);
  near(half.tpotMs.relativeUncertainty, free.tpotMs.relativeUncertainty, 1e-9);
  assert.ok(Math.abs(addedMs(free.tpotMs, half.tpotMs) - 5 / 23) < 1e-9);
  assert.ok(Math.abs(addedMs(free.ttftMs, half.ttftMs) - 5) < 1e-9);
});

test("one graph timed at a long context tells the cost of attention for all formats and shapes", () => {
  const heads = 9 * 30;
  const long = (perToken: number, perPair: number): Measurements => ({
    ...measurements,
    kit: {
      kitDigest: measurements.kit!.kitDigest,
      timings: measurements.kit!.timings.map((timing, index) => {
        const { layers } = kit.graphs[index]!.shape;
        if (index !== 1) return timing;
        const last = timing.prefill.at(-1)!;
        const graphHeads = 9 * layers.length;
        const decodeMs = timing.decode.at(-1)!.ms.median + perToken * graphHeads * (1032 - 512);
        const prefillMs = 8 * last.ms.median + perPair * graphHeads * ((128 * 128 * 8 * 7) / 2);
        const sample = (median: number) => ({ ...last.ms, median, p90: median });
        return {
          ...timing,
          decode: [...timing.decode, { contextTokens: 1032, ms: sample(decodeMs) }],
          prefill: [...timing.prefill, { promptTokens: 1024, ms: sample(prefillMs) }],
        };
      }),
    },
  });
  const shape = shapeOf(formats.q4b32a, 30, 1536);
  const at = (promptTokens: number, per: [number, number]) =>
    predict({ measurements: long(...per), shape, promptTokens });
  const [free, dear] = [at(600, [0, 0]), at(600, [1e-5, 1e-7])];
  near(dear.tpotMs.value - free.tpotMs.value, 1e-5 * heads * (612 - 512), 1e-6);
  const pairs = 128 * 128 * (1 + 2 + 3) + 512 * 88;
  near(dear.ttftMs.value - free.ttftMs.value, 1e-7 * heads * pairs, 1e-6);
  near(
    free.ttftMs.value,
    4 * predict({ shape, promptTokens: 128 }).ttftMs.value + predict({ shape, promptTokens: 88 }).ttftMs.value,
    1e-6,
  );
});

test("columns that pad a quantization block cost as if they were there", () => {
  const tpot = (ffnSize: number) => predict({ shape: shapeOf(formats.q4b128a, 30, ffnSize) }).tpotMs.value;
  assert.ok(Math.abs(tpot(1184) - tpot(1152) - (tpot(1280) - tpot(1152)) * ((2 / 3) * 0.25 + 1 / 3)) < 1e-9);
});

test("corrections scale what they correct, and nothing else", () => {
  const plain = predict();
  const corrected = predict({ factors: { tpotMs: 1.2, ttftMs: 0.8, peakMemoryBytes: 1.1 } });
  near(corrected.tpotMs.value, 1.2 * plain.tpotMs.value, 1e-12);
  near(corrected.ttftMs.value, 0.8 * plain.ttftMs.value, 1e-12);
  near(corrected.peakMemoryBytes.value, 1.1 * plain.peakMemoryBytes.value, 1e-12);
  assert.equal(corrected.tpotMs.relativeUncertainty, plain.tpotMs.relativeUncertainty);
  assert.deepEqual([corrected.diskBytes, corrected.loadMs], [plain.diskBytes, plain.loadMs]);
});

test("energy per token is a request's time at the measured power, as uncertain as both", () => {
  assert.equal(predict().joulesPerToken, null);
  const { kitDigest, timings } = measurements.kit!;
  const powered = timings.map((timing, index) => ({ ...timing, watts: [10, 12, 13][index % 3]! }));
  const { tpotMs, ttftMs, joulesPerToken } = predict({
    measurements: { ...measurements, kit: { kitDigest, timings: powered } },
  });
  near(joulesPerToken!.value, (12 * (ttftMs.value + 23 * tpotMs.value)) / 1000 / 24, 1e-12);
  const [least, most] = [tpotMs, ttftMs].map(({ relativeUncertainty }) => relativeUncertainty).sort((a, b) => a - b);
  const ofTimes = joulesPerToken!.relativeUncertainty - 2 / 12;
  assert.ok(least! - 1e-12 <= ofTimes && ofTimes <= most! + 1e-12, `${ofTimes} between ${least} and ${most}`);
});
