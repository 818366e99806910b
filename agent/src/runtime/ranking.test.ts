import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tokenLogprobs } from "./log-probabilities.ts";
import { seededRandom } from "./random.ts";
import { argmax, greatest } from "./ranking.ts";

describe("argmax", () => {
  it("takes the lowest id among equals and looks only at its own row", () => {
    assert.equal(argmax(Float32Array.of(1, 3, 3, 2)), 1);
    assert.equal(argmax(Float32Array.of(9, 9, 1, 2, 4, 9), 2, 3), 2);
  });
});

describe("greatest", () => {
  it("ranks as sorting everything does, whatever the count", () => {
    const random = seededRandom(3);
    // Coarse values, so that equals are common.
    const values = Float32Array.from({ length: 2000 }, () => Math.floor(random() * 200));
    const sorted = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
    for (const count of [0, 1, 7, 512, 513, 5000]) assert.deepEqual(greatest(values, count), sorted.slice(0, count));
  });
});

describe("tokenLogprobs", () => {
  it("is the logarithm of the softmax, also for logits whose powers overflow", () => {
    const logits = Float32Array.of(1000, 1001, 998, 1001);
    const powers = [...logits].map((logit) => Math.exp(logit - 1000));
    const share = (id: number) => Math.log(powers[id]! / powers.reduce((sum, power) => sum + power));
    const { logprob, top } = tokenLogprobs(logits, 2, 2);
    assert.ok(Math.abs(logprob - share(2)) < 1e-12);
    assert.deepEqual(
      top.map(({ tokenId }) => tokenId),
      [1, 3],
    );
    for (const { tokenId, logprob: value } of top) assert.ok(Math.abs(value - share(tokenId)) < 1e-12);
  });
});
