import { fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { artifactFiles, Manifest } from "@espalier/shared/contracts/manifest";
import { type Recipe, recipeName } from "@espalier/shared/contracts/recipe";
import type { VariantResult, VariantTask } from "../prediction/variant-process.ts";
import { measureBytes, measureLevel } from "./measure-bytes.ts";
import { recipes } from "./recipes.ts";
import { report, type Spread } from "./report.ts";

/** Builds what is missing in `--folder`, then measures what travels of it, and how long masked variants decode. */
const { values } = parseArgs({
  options: {
    folder: { type: "string", default: ".espalier/bench-wire" },
    model: { type: "string" },
    calibration: { type: "string" },
    evaluation: { type: "string" },
    rounds: { type: "string", default: "3" },
  },
});
/** Weights whose bytes other levels of zstd are tried on: skewed codes, codes with zeros, packed codes. */
const triedOn = ["dense-q8b128", "sparsegpt-50-q8b128", "dense-q4b128a"];
const levels = [1, 3, 9];

const variants = recipes.map((recipe) => ({ name: recipeName(recipe), recipe, ...variantOf(recipe) }));
const decoding = await measureDecoding(Number(values.rounds));
const rows = [];
for (const { name, recipe, folder, manifest } of variants) {
  const dense = recipes.find(
    (other) => other.pruning.method === "none" && isSame(other.quantization, recipe.quantization),
  );
  const beside = decoding.get(dense === undefined ? "" : recipeName(dense));
  const ratios = decoding.get(name)?.map((tpotMs, round) => tpotMs / (beside?.[round] ?? Number.NaN));
  rows.push({ variant: name, ...(await measureBytes(folder, manifest)), tpotOfDense: spreadOf(ratios ?? []) });
}
const tried = variants.filter(({ name }) => triedOn.includes(name));
const byLevel = tried.flatMap(({ name, folder, manifest }) =>
  levels.map((level) => ({ variant: name, level, ...measureLevel(folder, manifest, level) })),
);
await report(rows, byLevel);

function spreadOf(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [least, median, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)];
  return least === undefined || median === undefined || most === undefined ? null : { median, least, most };
}

function isSame(a: Recipe["quantization"], b: Recipe["quantization"]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A variant that is built already, or is now. */
function variantOf(recipe: Recipe): { folder: string; manifest: Manifest } {
  const folder = join(values.folder, "variants", recipeName(recipe));
  if (!existsSync(folder)) {
    const { model, calibration, evaluation } = values;
    if (model === undefined || calibration === undefined || evaluation === undefined) {
      throw new Error(`${folder} is not built: give --model, --calibration and --evaluation`);
    }
    const recipeFile = join(values.folder, `${recipeName(recipe)}.json`);
    mkdirSync(join(values.folder, "variants"), { recursive: true });
    writeFileSync(recipeFile, JSON.stringify(recipe));
    const builder = fileURLToPath(new URL("../../.espalier/venv/bin/espalier-builder", import.meta.url));
    const { status, error } = spawnSync(
      builder,
      [
        ...["build", "--model", model, "--recipe", recipeFile, "--out", folder, "--device", "cpu"],
        ...["--calibration", calibration, "--calibration-tokens", "8192"],
        ...["--eval", evaluation, "--eval-tokens", "1024", "--cache", join(values.folder, "stages")],
      ],
      { stdio: "inherit" },
    );
    if (status !== 0) throw error ?? new Error(`building ${folder} ended with exit code ${status}`);
  }
  return { folder, manifest: Manifest.parse(JSON.parse(readFileSync(join(folder, artifactFiles.manifest), "utf8"))) };
}

/** Time per output token of masked variants and of the dense ones in their formats, by round: each has its turn in each. */
async function measureDecoding(rounds: number): Promise<Map<string, number[]>> {
  const masked = recipes.filter(({ pruning }) => "pattern" in pruning);
  const timed = variants.filter(
    ({ recipe: { pruning, quantization } }) =>
      "pattern" in pruning ||
      (pruning.method === "none" && masked.some((other) => isSame(other.quantization, quantization))),
  );
  const times = new Map(timed.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++)
    for (const { name, folder, manifest } of timed) {
      const child = fork(fileURLToPath(new URL("../prediction/variant-process.ts", import.meta.url)));
      const { graph } = manifest;
      const task: VariantTask = { folder, graph, weightsFile: artifactFiles.weights, threads: 1, contextTokens: 2048 };
      child.send(task);
      const [{ points }] = (await once(child, "message")) as [VariantResult];
      const at64 = points.find(({ promptTokens }) => promptTokens === 64);
      if (at64 !== undefined) times.get(name)?.push(at64.tpotMs);
    }
  return times;
}
