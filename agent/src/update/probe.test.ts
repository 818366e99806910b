import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runProbe } from "./probe.ts";

const { signal } = new AbortController();
const firstLogits = { tokens: [1], indices: [0], values: [1], minCosine: 0.9 };
const chooses = { topTokens: async () => Int32Array.of(5, 6, 7, 8) };

describe("the probe set", () => {
  it("compares with the builder where the choice is decisive, with the dense model everywhere", async () => {
    const prompt = { tokens: [1, 2, 3, 4], denseTop1: [5, 0, 0, 0], variantTop1: [5, 0, 7, 0], decisive: [0, 2, 3] };
    const probe = { schemaVersion: 1 as const, firstLogits, prompts: [prompt], minAgreementWithBuilder: 0.95 };
    assert.deepEqual(await runProbe(chooses, probe, signal), {
      positions: 4,
      agreementWithBuilder: 2 / 3,
      agreementWithDense: 0.25,
    });
  });

  it("of an older builder is compared at every position", async () => {
    const prompt = { tokens: [1, 2, 3, 4], denseTop1: [5, 6, 7, 0], variantTop1: [5, 0, 7, 0] };
    const probe = { schemaVersion: 1 as const, firstLogits, prompts: [prompt], minAgreementWithBuilder: 0.75 };
    assert.equal((await runProbe(chooses, probe, signal)).agreementWithBuilder, 0.5);
  });

  it("doesn't count a position that the device never reached as agreed", async () => {
    const prompt = { tokens: [1, 2], denseTop1: [5], variantTop1: [5], decisive: [0, 9] };
    const probe = { schemaVersion: 1 as const, firstLogits, prompts: [prompt], minAgreementWithBuilder: 0.75 };
    assert.equal((await runProbe(chooses, probe, signal)).agreementWithBuilder, 0.5);
  });
});
