import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { loadTokenizer } from "../text/tokenizer.ts";
import { ModelSlot, type ServedModel } from "./model-slot.ts";

/** A model whose runtime only counts how often it was closed: the slot uses nothing else of it. */
async function countedModel(): Promise<{ model: ServedModel; closed: () => number }> {
  const { folder, manifest } = await tinyArtifact("dense-fp32");
  let closed = 0;
  const unused = (): never => assert.fail("the slot doesn't run models");
  const model: ServedModel = {
    modelName: "tiny",
    variantName: "dense-fp32",
    artifactDigest: manifest.recipeDigest,
    activatedAtMs: 0,
    tokenizer: await loadTokenizer(folder),
    runtime: {
      engine: "ffi",
      kernel: null,
      cacheElementBytes: 4,
      loadMs: 1,
      contextTokens: 1,
      vocabularySize: 1,
      crashed: new Promise(() => {}),
      generate: unused,
      logitsAt: unused,
      topTokens: unused,
      close: async () => {
        closed += 1;
      },
    },
  };
  return { model, closed: () => closed };
}

describe("ModelSlot", () => {
  it("has nothing to lease at first", () => {
    assert.equal(new ModelSlot().acquire(), null);
  });

  it("serves the new model at once and closes the old one when its last lease is gone", async () => {
    const [old, next] = [await countedModel(), await countedModel()];
    const slot = new ModelSlot();
    await slot.swap(old.model);
    const [first, second] = [slot.acquire(), slot.acquire()];
    const swapped = slot.swap(next.model);
    assert.equal(slot.current, next.model);
    assert.equal(first?.model, old.model);
    first?.release();
    first?.release();
    assert.equal(old.closed(), 0, "the second lease still holds it");
    second?.release();
    await swapped;
    assert.equal(old.closed(), 1);
    assert.equal(next.closed(), 0);
  });

  it("closes an idle model and serves nothing after a swap to null", async () => {
    const only = await countedModel();
    const slot = new ModelSlot();
    await slot.swap(only.model);
    await slot.swap(null);
    assert.equal(only.closed(), 1);
    assert.equal(slot.acquire(), null);
  });
});
