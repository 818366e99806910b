import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelPart, ModelProfile } from "@espalier/shared/contracts/model-profile";
import { profilePicture } from "./profile-picture.ts";

const damage = (kl: number) => ({ kl, klHalfWidth: 0.001 });
const block = (layer: number, part: "attention" | "ffn", kl: number): ModelPart => ({
  part,
  layer,
  parameters: 100,
  flopsPerToken: 200,
  weightBytesPerToken: 400,
  cacheBytesPerToken: 8,
  predictedMs: null,
  removed: damage(kl),
  quantized: damage(kl / 10),
});
const profile: ModelProfile = {
  schemaVersion: 1,
  modelName: "a <model>",
  modelDigest: `sha256:${"a".repeat(64)}`,
  contextTokens: 256,
  protocol: {
    datasetDigest: null,
    datasetOrigin: "given",
    sequenceLength: 128,
    windows: 8,
    tokens: 1024,
    engine: "pytorch",
    engineVersion: "2",
  },
  dense: { perplexity: 20, bitsPerByte: 1, agreement: 1, kl: 0, klHalfWidth: 0 },
  probeFormat: { bits: 4, blockSize: 32, symmetric: true, accuracyLevel: 4 },
  parts: [block(0, "attention", 4), block(0, "ffn", 2), block(1, "attention", 1), block(1, "ffn", 1)],
  device: null,
  findings: [],
};

test("each block has a bar per strip, as high as its value, and the model's name is escaped", () => {
  const svg = profilePicture(profile);
  const bars = [...svg.matchAll(/height="([\d.]+)" fill="[^"]+"><title>([^<]*)<\/title>/g)];
  assert.equal(bars.length, 4 * 4);
  const removed = bars.slice(12).map(([, height]) => Number(height));
  assert.ok(Math.abs((removed[0] ?? 0) / (removed[1] ?? 1) - 2) < 0.01);
  assert.equal(bars.at(-1)?.[2], "ffn of layer 1: 1");
  assert.match(svg, /a &#60;model&#62;, layer by layer/);
  assert.match(svg, /Operations per token/, "without a device no times are drawn");
});
