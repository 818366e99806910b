import assert from "node:assert/strict";
import { test } from "node:test";
import { torchIndex } from "./torch-index.mjs";

const answer = (value) => async () => value;

test("without a GPU the CPU builds are asked for, where their index answers", async () => {
  const index = await torchIndex({ python: "python3", hasGpu: answer(false), reachable: answer(true) });
  assert.deepEqual(index.pipArguments, ["--index-url", "https://download.pytorch.org/whl/cpu"]);
});

test("an unreachable CPU index leads to pip's own index", async () => {
  const index = await torchIndex({ python: "python3", hasGpu: answer(false), reachable: answer(false) });
  assert.deepEqual(index.pipArguments, []);
});

test("with a GPU pip's own index is used", async () => {
  const index = await torchIndex({ python: "python3", hasGpu: answer(true), reachable: answer(true) });
  assert.deepEqual(index.pipArguments, []);
});
