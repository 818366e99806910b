import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { assertGreedyAsPyTorch } from "../fixtures/greedy-reference.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const data = process.env["ESPALIER_DATA"] ?? join(root, "../shared/data");
const { demoModel } = JSON.parse(await readFile(join(root, ".espalier/env.json"), "utf8")) as { demoModel?: string };

/** Each model with prompts of its own kind. */
const models: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "SmolLM2-135M-Instruct",
    process.env["MODEL"] || (demoModel ?? ""),
    ["The capital of France is", "def fibonacci(n):"],
  ],
  ["stories260K", join(data, "models/stories260K"), ["Once upon a time", "Lily liked"]],
  ["babyllama-1M", join(data, "models/babyllama-1M"), ["Once upon a time", "The cat"]],
];

describe("the runtime answers greedily what PyTorch does, for 200 tokens in fp32", () => {
  for (const [name, path, prompts] of models) {
    it(name, { skip: existsSync(path) ? false : `${name} is not at hand` }, () =>
      assertGreedyAsPyTorch(path, prompts, 200),
    );
  }
});
