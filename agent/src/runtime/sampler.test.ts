import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Sampler } from "./sampler.ts";
import { greedy, type Sampling } from "./sampling.ts";

const sampled: Sampling = { ...greedy, temperature: 1, seed: 7 };

/** Share of each id among many draws from the same logits. */
function frequencies(sampling: Sampling, logits: readonly number[], draws = 20_000): number[] {
  const sampler = new Sampler(sampling, []);
  const counts = logits.map(() => 0);
  for (let i = 0; i < draws; i += 1) counts[sampler.next(Float32Array.from(logits))]! += 1;
  return counts.map((count) => count / draws);
}

/** Softmax written down independently of the sampler. */
function softmax(logits: readonly number[], temperature: number): number[] {
  const powers = logits.map((logit) => Math.exp(logit / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  // Five standard errors of a share estimated from 20,000 draws.
  for (const [id, value] of expected.entries()) {
    assert.ok(
      Math.abs(actual[id]! - value) < 5 * Math.sqrt((value * (1 - value)) / 20_000) + 1e-9,
      `${actual} ${expected}`,
    );
  }
}

describe("Sampler", () => {
  const logits = [0.5, 2, -1, 1.5, 0];

  it("is greedy at temperature 0", () => {
    assert.deepEqual(frequencies(greedy, logits, 10), [0, 1, 0, 0, 0]);
  });

  it("draws by the softmax of logits over temperature", () => {
    assertClose(frequencies(sampled, logits), softmax(logits, 1));
    assertClose(frequencies({ ...sampled, temperature: 0.5 }, logits), softmax(logits, 0.5));
  });

  it("keeps the k most likely tokens and renormalizes", () => {
    const [, second, , fourth] = softmax(logits, 1);
    const kept = second! + fourth!;
    assertClose(frequencies({ ...sampled, topK: 2 }, logits), [0, second! / kept, 0, fourth! / kept, 0]);
  });

  it("keeps the smallest set whose probability reaches top-p", () => {
    const [first, second, , fourth] = softmax(logits, 1);
    const twoKept = second! + fourth!;
    assertClose(frequencies({ ...sampled, topP: twoKept - 0.01 }, logits), [
      0,
      second! / twoKept,
      0,
      fourth! / twoKept,
      0,
    ]);
    const threeKept = twoKept + first!;
    assertClose(frequencies({ ...sampled, topP: twoKept + 0.01 }, logits), [
      first! / threeKept,
      second! / threeKept,
      0,
      fourth! / threeKept,
      0,
    ]);
  });

  it("keeps the most likely token however small top-p is", () => {
    assert.deepEqual(frequencies({ ...sampled, topP: 1e-9 }, logits, 50), [0, 1, 0, 0, 0]);
  });

  it("applies top-p to what top-k left", () => {
    const [, second, , fourth] = softmax(logits, 1);
    const share = second! / (second! + fourth!);
    assert.deepEqual(frequencies({ ...sampled, topK: 2, topP: share - 0.01 }, logits, 50), [0, 1, 0, 0, 0]);
  });

  it("gives equal tokens for equal seeds and others for other seeds", () => {
    const draw = (seed: number) => {
      const sampler = new Sampler({ ...sampled, seed }, []);
      return Array.from({ length: 40 }, () => sampler.next(Float32Array.from(logits)));
    };
    assert.deepEqual(draw(3), draw(3));
    assert.notDeepEqual(draw(3), draw(4));
    assert.notDeepEqual(draw(0), draw(1));
  });

  it("penalizes tokens of the prompt and of the answer, whatever their sign", () => {
    const sampler = new Sampler({ ...greedy, repetitionPenalty: 2 }, [1]);
    const row = () => Float32Array.of(1.2, 2, 1.1, -0.5);
    assert.equal(sampler.next(row()), 0, "2 / 2 is below 1.2");
    assert.equal(sampler.next(row()), 2, "1.2 / 2 and 2 / 2 are below 1.1");
    const negative = new Sampler({ ...greedy, repetitionPenalty: 2 }, [0]);
    assert.equal(negative.next(Float32Array.of(-1, -1.5)), 1, "-1 * 2 is below -1.5");
  });

  it("keeps tokens that are likely enough beside the likeliest one", () => {
    const [first, second, , fourth] = softmax(logits, 1);
    const minP = first! / second! - 0.01;
    const kept = first! + second! + fourth!;
    assertClose(frequencies({ ...sampled, minP }, logits), [first! / kept, second! / kept, 0, fourth! / kept, 0]);
    assert.deepEqual(frequencies({ ...sampled, topK: 4, minP: 1 }, logits, 50), [0, 1, 0, 0, 0]);
  });

  it("takes off a logit what the answer's tokens cost: by occurrence and once for all", () => {
    const row = () => Float32Array.of(2, 1.5, 0, -5);
    const choose = (sampling: Partial<Sampling>, count: number) => {
      const sampler = new Sampler({ ...greedy, ...sampling }, [0, 0, 1]);
      return Array.from({ length: count }, () => sampler.next(row()));
    };
    // 2 | 1.4 1.5 | 1.4 0.9 | 0.8 0.9 | 0.8 0.3: the prompt's tokens cost nothing.
    assert.deepEqual(choose({ frequencyPenalty: 0.6 }, 5), [0, 1, 0, 1, 0]);
    assert.deepEqual(choose({ presencePenalty: 0.6 }, 4), [0, 1, 0, 0]);
    assert.deepEqual(choose({ presencePenalty: -1 }, 3), [0, 0, 0]);
  });

  it("adds biases to logits", () => {
    const once = (logitBias: Sampling["logitBias"]) =>
      new Sampler({ ...greedy, logitBias }, []).next(Float32Array.from(logits));
    assert.equal(once([[1, -100]]), 3);
    assert.equal(
      once([
        [2, 100],
        [99, 100],
      ]),
      2,
      "ids outside the vocabulary are no tokens",
    );
  });
});
