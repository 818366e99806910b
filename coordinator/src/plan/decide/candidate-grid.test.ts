import assert from "node:assert/strict";
import { test } from "node:test";
import { recipeName } from "@espalier/shared/contracts/recipe";
import { RolloutSpec, type RolloutSpecInput } from "@espalier/shared/contracts/rollout-spec";
import { candidatesOf } from "./candidate-grid.ts";

const names = (spec: Partial<RolloutSpecInput>) =>
  candidatesOf(RolloutSpec.parse({ name: "r", model: "m", ...spec })).map(recipeName);

test("without candidates every pruning is considered at 8 bits and rounded to 4", () => {
  const found = names({});
  assert.equal(found.length, 18);
  assert.deepEqual(found.slice(0, 4), ["dense-q8b128", "dense-q4b32a", "dense-q4b128a", "cfsp-rel-refit-10-q8b128"]);
  assert.equal(found.at(-1), "shortgpt-refit-10-q4b128a");
});

test("a grid asks for GPTQ at 4 bits, and for a cache of int8 with every level", () => {
  const found = names({ grid: { fourBits: "gptq", kvCache: "int8" } });
  assert.equal(found.length, 12);
  assert.deepEqual(found.slice(0, 2), ["dense-q8b128-kv8", "dense-gptq-q4b128a-kv8"]);
  assert.ok(found.every((name) => name.endsWith("-kv8")));
});

test("candidates of one's own are taken as they are, and not beside a grid", () => {
  const candidates = candidatesOf(RolloutSpec.parse({ name: "r", model: "m" })).slice(3, 5);
  assert.deepEqual(names({ candidates: [...candidates] }), candidates.map(recipeName));
  const both = RolloutSpec.safeParse({ name: "r", model: "m", candidates, grid: {} });
  assert.deepEqual(
    both.error?.issues.map(({ path, message }) => [path, message]),
    [[["grid"], "expected either candidates or a grid"]],
  );
});
