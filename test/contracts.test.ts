import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { findBinaries } from "@espalier/cli/up/binaries";
import { contracts } from "@espalier/shared/contracts/all";
import type { BuildJob } from "@espalier/shared/contracts/build";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import { type Recipe, recipeDigest, recipeName } from "@espalier/shared/contracts/recipe";

/** Runs a line of Python with the builder on its path; `value` arrives parsed as `value`, the answer is what `answer` holds. */
function inBuilder(code: string, value: unknown): unknown {
  const program = `import json, sys\nvalue = json.load(sys.stdin)\n${code}\nprint(json.dumps(answer))`;
  const out = execFileSync(findBinaries().python, ["-c", program], { input: JSON.stringify(value) });
  return JSON.parse(out.toString());
}

const rtn = { method: "rtn", symmetric: false, accuracyLevel: 4 } as const;
const recipes: Recipe[] = [
  { schemaVersion: 1, pruning: { method: "none" }, quantization: { method: "none" } },
  { schemaVersion: 1, pruning: { method: "none" }, quantization: { ...rtn, bits: 8, blockSize: 128, symmetric: true } },
  {
    schemaVersion: 1,
    pruning: { method: "cfsp-rel", sparsity: 0.3, alignment: 32, refit: true },
    quantization: { ...rtn, bits: 4, blockSize: 32 },
  },
  {
    schemaVersion: 1,
    pruning: { method: "flap", sparsity: 0.3, alignment: 32, refit: "one-pass" },
    quantization: { ...rtn, bits: 4, blockSize: 32 },
  },
  {
    schemaVersion: 1,
    pruning: { method: "magnitude", sparsity: 0.125, alignment: 16, refit: false },
    quantization: { ...rtn, bits: 4, blockSize: 128, accuracyLevel: 0 },
  },
  {
    schemaVersion: 1,
    pruning: { method: "none" },
    quantization: { ...rtn, method: "gptq", bits: 4, blockSize: 64 },
  },
  { schemaVersion: 1, pruning: { method: "tail", sparsity: 0.2 }, quantization: { method: "none" } },
  {
    schemaVersion: 1,
    pruning: { method: "barber-wanda", sparsity: 0.5, pattern: "2:4" },
    quantization: { method: "none" },
  },
  { schemaVersion: 1, pruning: { method: "shortgpt", sparsity: 0.25 }, quantization: { method: "none" } },
  {
    schemaVersion: 1,
    pruning: { method: "shortgpt", sparsity: 0.25, refit: true },
    quantization: { method: "none" },
  },
  { schemaVersion: 1, pruning: { method: "obs", sparsity: 0.3, alignment: 32 }, quantization: { method: "none" } },
  { schemaVersion: 1, pruning: { method: "none" }, quantization: { method: "none" }, kvCache: "int8" },
  {
    schemaVersion: 1,
    pruning: { method: "none" },
    quantization: { ...rtn, method: "gptq", bits: { mixed: 5.125 }, blockSize: 128 },
  },
];

test("a recipe has the same name and digest in TypeScript and in the builder", () => {
  const answer = inBuilder(
    "from espalier_builder.contracts import Recipe, recipe_digest, recipe_name\n" +
      "answer = [[recipe_name(Recipe.from_json(r)), recipe_digest(Recipe.from_json(r))] for r in value]",
    recipes,
  );
  assert.deepEqual(
    answer,
    recipes.map((recipe) => [recipeName(recipe), recipeDigest(recipe)]),
  );
  assert.equal(new Set(recipes.map(recipeName)).size, recipes.length);
});

test("both sides write the same canonical JSON, whatever the key order and the numbers", () => {
  const value = { b: [1, 0.1, 1e21, 1e-7, -0, 123456789.125], a: { z: 'é\u2028"\\', y: null, x: true }, "": 0 };
  const answer = inBuilder(
    "from espalier_builder.contracts import digest_of_json\nanswer = digest_of_json(value)",
    value,
  );
  assert.equal(answer, digestOfJson(value));
});

test("the builder takes the jobs that the coordinator writes and refuses others, naming each violation", () => {
  const work = {
    schemaVersion: 1,
    kind: "build",
    modelDigest: digestOfJson("model"),
    requirements: { memoryBytes: 0, gpu: false },
    calibrationDigest: null,
    evaluationDigest: null,
    calibrationTokens: 1024,
    evaluationTokens: 1024,
    sequenceLength: 128,
    seed: 0,
    recipe: recipes[2]!,
  } as const;
  const job: BuildJob = { ...work, jobId: digestOfJson(work) };
  const broken = { ...job, sequenceLength: 3, surprise: 1 };
  const answer = inBuilder(
    "from espalier_builder.contracts import validate\n" +
      "from espalier_builder.failure import BuilderError\n" +
      "answer = []\n" +
      "for job in value:\n" +
      "    try:\n        validate('BuildJob', job); answer.append('')\n" +
      "    except BuilderError as error: answer.append(str(error))",
    [job, broken],
  ) as string[];
  assert.equal(answer[0], "");
  assert.match(answer[1]!, /sequenceLength|surprise/);
});

test("every contract has a JSON Schema at the builder, and no other schema lies there", () => {
  const answer = inBuilder(
    "from importlib import resources\n" +
      "answer = sorted(f.name[:-5] for f in (resources.files('espalier_builder') / 'schemas').iterdir() if f.name.endswith('.json'))",
    null,
  );
  assert.deepEqual(answer, Object.keys(contracts).sort());
});
