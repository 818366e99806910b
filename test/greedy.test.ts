import assert from "node:assert/strict";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { assertFamiliesAsPyTorch, assertGreedyAsPyTorch } from "./fixtures/greedy-reference.ts";

it("the runtime answers greedily what PyTorch does, for 200 tokens of the bundled model in fp32", async () => {
  const model = fileURLToPath(new URL("../models/tiny", import.meta.url));
  await assertGreedyAsPyTorch(model, ["Once upon a time", "The dog said", "Lily and Tom went to the park."], 200);
});

it("so it does for a random model of every family, whatever its norms, positions and biases", async () => {
  assert.deepEqual(await assertFamiliesAsPyTorch(60), ["llama", "qwen2", "qwen3", "mistral", "opt"]);
});
