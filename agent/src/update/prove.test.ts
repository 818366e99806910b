import assert from "node:assert/strict";
import { test } from "node:test";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { Probe } from "@espalier/shared/contracts/manifest";
import { VariantTiming } from "@espalier/shared/contracts/profile";
import type { Runtime } from "../runtime/runtime.ts";
import { type Outcome, prove } from "./prove.ts";

const probe: Probe = {
  schemaVersion: 1,
  firstLogits: { tokens: [1], indices: [0, 1], values: [1, 0], minCosine: 0.9 },
  prompts: [{ tokens: [1, 2, 3, 4], denseTop1: [5, 6, 7, 8], variantTop1: [5, 6, 7, 8], decisive: [0, 1, 2, 3] }],
  minAgreementWithBuilder: 0.75,
};
const sample = { median: 1, p90: 1, relativeSpread: 0, repetitions: 3 };
const timing = VariantTiming.parse({
  artifactDigest: `sha256:${"a".repeat(64)}` as Digest,
  promptTokens: 8,
  outputTokens: 4,
  ttftMs: sample,
  tpotMs: sample,
  peakMemoryBytes: 1000,
  loadMs: 1,
});

/** Proves a variant that does everything right but what a test says, and tells whether it was timed. */
async function outcomeOf({
  logits = [1, 0],
  chosen = [5, 6, 7, 8],
  budget = null,
}: {
  logits?: number[];
  chosen?: number[];
  budget?: number | null;
}): Promise<Outcome & { timed: boolean }> {
  const runtime: Pick<Runtime, "logitsAt" | "topTokens"> = {
    logitsAt: async () => Float32Array.from(logits),
    topTokens: async () => Int32Array.from(chosen),
  };
  let timed = false;
  const time = async () => {
    timed = true;
    return timing;
  };
  const deps = { runtime: runtime as Runtime, probe, time, memoryBudgetBytes: budget };
  return { ...(await prove(deps, new AbortController().signal)), timed };
}

test("a variant that computes what it did at the builder, within the budget, proves itself", async () => {
  const { reason, proof } = await outcomeOf({ budget: timing.peakMemoryBytes });
  assert.equal(reason, null);
  assert.deepEqual(proof, {
    schemaVersion: 1,
    firstLogitsCosine: 1,
    agreementWithBuilder: 1,
    agreementWithDense: 1,
    positions: 4,
    timing,
  });
});

test("first logits that are others, or no numbers, refuse a variant before its probe set runs", async () => {
  for (const [logits, cosine] of [
    [[0.8, 0.6], 0.8],
    [[0, 0], 0],
    [[Number.NaN, 0], null],
    [[1], null],
  ] as const) {
    const { reason, proof } = await outcomeOf({ logits: [...logits] });
    assert.match(String(reason), /^first logits have cosine .* at least 0\.9 is needed$/);
    assert.ok(
      cosine === null ? proof.firstLogitsCosine === null : Math.abs((proof.firstLogitsCosine ?? 0) - cosine) < 1e-6,
    );
    assert.deepEqual([proof.positions, proof.agreementWithBuilder, proof.timing], [0, null, null]);
  }
});

test("a variant that chooses other tokens than at the builder is refused with the share, and never timed", async () => {
  assert.equal((await outcomeOf({ chosen: [5, 6, 7, 0] })).reason, null, "at the least share");
  const { reason, proof, timed } = await outcomeOf({ chosen: [5, 6, 0, 0] });
  assert.match(String(reason), /agrees with the builder at 50\.0 % of its decisive positions; at least 75\.0 %/);
  assert.deepEqual([proof.agreementWithBuilder, proof.timing, timed], [0.5, null, false]);
});

test("a variant that took more memory than its owner allows is refused with both numbers", async () => {
  const { reason, proof } = await outcomeOf({ budget: timing.peakMemoryBytes - 1 });
  assert.equal(reason, "peak memory was 1000 bytes; the owner's budget is 999");
  assert.deepEqual(proof.timing, timing);
});
