import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import type { LayerProfile } from "@espalier/shared/contracts/layer-profile";
import { ModelProfile } from "@espalier/shared/contracts/model-profile";
import { fitDevice } from "../../predict/decide/device-model.ts";
import { prepareKit } from "../../predict/decide/kit-designs.ts";
import {
  formats,
  ordinaryCosts,
  shapeOf,
  syntheticKit,
  syntheticProfile,
  trueDecodeMs,
} from "../../predict/testing/synthetic-device.ts";
import { profileModel } from "./profile-model.ts";

const layers = 6;
const shape = shapeOf(formats.q8b128, layers, 1536);
const quality = { perplexity: 20, bitsPerByte: 1, agreement: 1, kl: 0, klHalfWidth: 0 };

/** Layer 2's FFN is the most sensitive to quantizing, layer 4's attention is the least missed. */
const profile: LayerProfile = {
  schemaVersion: 1,
  modelDigest: digestOfJson("model"),
  protocol: {
    datasetDigest: null,
    datasetOrigin: "self-sampled",
    sequenceLength: 128,
    windows: 8,
    tokens: 1024,
    engine: "pytorch",
    engineVersion: "2",
  },
  dense: quality,
  shape,
  probeFormat: { bits: 4, blockSize: 32, symmetric: true, accuracyLevel: 4 },
  blocks: Array.from({ length: layers }, (_, layer) =>
    (["attention", "ffn"] as const).map((part) => ({
      layer,
      part,
      removed: { kl: layer === 4 && part === "attention" ? 0.01 : 1 + layer, klHalfWidth: 0.001 },
      quantized: { kl: layer === 2 && part === "ffn" ? 0.5 : 0.01 * (layer + 1), klHalfWidth: 0.001 },
    })),
  ).flat(),
};

function device(memoryBandwidthBytesPerSecond: number | null) {
  const kit = syntheticKit();
  const { measurements } = syntheticProfile({ deviceId: "pi", kit });
  const prepared = prepareKit(kit);
  const key = prepared.formats.find((format) => format.key.startsWith("q8b128"))?.key;
  const model = key === undefined ? null : fitDevice(prepared, measurements)(key);
  assert.ok(model !== null);
  return { name: "pi", format: "q8b128", model, memoryBandwidthBytesPerSecond };
}

const common = { modelName: "smol", profile, contextTokens: 512 };

test("the parts' times add up to what a token takes on the device, split as the device's costs are", () => {
  const { parts, device: timed } = profileModel({ ...common, device: device(null) });
  const total = trueDecodeMs(ordinaryCosts, shape, 512);
  assert.ok(Math.abs((timed?.predictedMs ?? 0) / total - 1) < 0.01);
  const ffn = parts.find(({ part, layer }) => part === "ffn" && layer === 0);
  assert.ok(Math.abs((ffn?.predictedMs ?? 0) / (ordinaryCosts.ffnColumnMs * 1536) - 1) < 0.05);
  const head = parts.find(({ part }) => part === "head");
  assert.ok(Math.abs((head?.predictedMs ?? 0) / ordinaryCosts.fixedMs - 1) < 0.05);
});

test("parameters add up to the model's, and each costs two operations a token", () => {
  const { parts } = profileModel({ ...common, device: null });
  const blocks = parts.filter(({ layer }) => layer !== null);
  assert.equal(
    blocks.reduce((sum, { parameters }) => sum + parameters, 0),
    shape.nonEmbeddingParameters,
  );
  const ffn = blocks.find(({ part }) => part === "ffn");
  assert.equal(ffn?.flopsPerToken, 2 * 3 * 576 * 1536);
  const attention = blocks.find(({ part }) => part === "attention");
  // Queries and outputs of 9 heads, keys and values of 3, 64 wide; scores and sums over 512 tokens.
  assert.equal(attention?.flopsPerToken, 2 * 2 * 576 * 64 * (9 + 3) + 4 * 9 * 64 * 512);
  assert.equal(attention?.cacheBytesPerToken, 2 * 4 * 3 * 64);
  assert.equal(parts.at(-1)?.flopsPerToken, 2 * 576 * 49152);
});

test("a model without gates has two matrices in each feed-forward layer", () => {
  const ungated = { ...profile, shape: { ...shape, ungatedFfn: true as const } };
  const { parts } = profileModel({ ...common, profile: ungated, device: null });
  assert.equal(parts.find(({ part }) => part === "ffn")?.parameters, 2 * 576 * 1536);
});

test("without a device times are unknown rather than guessed, and the findings say so", () => {
  const result = profileModel({ ...common, device: null });
  assert.equal(result.device, null);
  assert.ok(result.parts.every(({ predictedMs }) => predictedMs === null));
  assert.match(result.findings[0] ?? "", /No device has measured/);
  assert.deepEqual(ModelProfile.parse(result), result);
});

test("the findings name the bottleneck and the blocks that matter most and least", () => {
  const slowMemory = profileModel({ ...common, device: device(10e9) }).findings;
  assert.match(slowMemory[0] ?? "", /on pi \(q8b128\): feed-forward blocks \d+ %/);
  assert.match(slowMemory[1] ?? "", /memory bandwidth is the bottleneck/);
  assert.match(slowMemory[2] ?? "", /^Most sensitive to quantizing: ffn of layer 2,/);
  assert.match(slowMemory[3] ?? "", /^Least missed .*: attention of layer 4,/);
  const fastMemory = profileModel({ ...common, device: device(400e9) }).findings;
  assert.match(fastMemory[1] ?? "", /computing or fixed cost is the bottleneck/);
});
