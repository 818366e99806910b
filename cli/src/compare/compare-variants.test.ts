import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { digestOfBytes } from "@espalier/shared/contracts/digest";
import { EvaluationReport, type SliceQuality } from "@espalier/shared/contracts/report";
import { hasCode } from "@espalier/shared/errors";
import type { VariantView } from "../commands/variant.ts";
import { renderComparison } from "../commands/variant-compare.ts";
import { holdAgainst } from "./baseline.ts";
import { compareVariants } from "./compare-variants.ts";
import { pairedDifference, studentQuantile } from "./paired-statistics.ts";

const windows = 12;
const perWindow = 16;
const rtn = { method: "rtn", bits: 8, blockSize: 128, symmetric: true, accuracyLevel: 4 } as const;

/** A variant whose loss in window i is `nll(i)` and that agrees with the dense model where `agrees(token)`. */
function variant(
  name: string,
  nll: (window: number) => number,
  agrees: (token: number) => boolean,
  over: {
    datasetDigest?: string;
    modelName?: string;
    wireBytes?: number;
    paired?: null;
    answers?: Record<string, string>;
    slices?: SliceQuality[];
  } = {},
): VariantView {
  const total = windows * perWindow;
  const bits = Buffer.alloc(Math.ceil(total / 8));
  for (let token = 0; token < total; token++)
    if (agrees(token)) bits[token >> 3] = (bits[token >> 3] ?? 0) | (1 << (token & 7));
  const each = Array.from({ length: windows }, (_, window) => window);
  const protocol = {
    datasetDigest: over.datasetDigest ?? digestOfBytes("text"),
    datasetOrigin: "given",
    sequenceLength: perWindow,
    windows,
    tokens: total,
    engine: "onnxruntime",
    engineVersion: "1",
  };
  const quality = { perplexity: 20, bitsPerByte: 1, agreement: 0.9, kl: 0.1, klHalfWidth: 0.01 };
  const report = EvaluationReport.parse({
    schemaVersion: 1,
    recipe: { schemaVersion: 1, pruning: { method: "none" }, quantization: rtn },
    requestedSparsity: 0,
    achievedSparsity: 0,
    dense: { quality, protocol, parameters: 1 },
    stages: [{ stage: "exported", quality, protocol, parameters: 1, sizeBytes: 1 }],
    ...(over.paired === null
      ? {}
      : {
          paired: {
            tokens: each.map(() => perWindow),
            nll: each.map((window) => perWindow * nll(window)),
            kl: each.map(() => 1),
            agreeing: bits.toString("base64"),
          },
        }),
    slices: over.slices ?? [],
    answers: Object.entries(over.answers ?? {}).map(([prompt, answer]) => ({ prompt, answer })),
    costs: [],
    notes: [],
  });
  const { modelName = "smol", wireBytes = null } = over;
  return { name, modelName, artifactDigest: digestOfBytes(name), totalBytes: 100, wireBytes, report } as VariantView;
}

const hard = (window: number) => 2 + Math.sin(window);
const base = variant("base", hard, () => true);

test("a difference that is the same in every window shows, however much the windows differ", () => {
  const { perplexityRatio, flips } = compareVariants(
    base,
    variant(
      "worse",
      (window) => hard(window) + 0.01,
      (token) => token % 4 !== 0,
    ),
  );
  assert.ok(Math.abs(perplexityRatio.value - Math.exp(0.01)) < 1e-9);
  assert.ok(perplexityRatio.low > 1 && perplexityRatio.high < 1.0101);
  assert.deepEqual(flips, { onlyA: (windows * perWindow) / 4, onlyB: 0 });
});

test("an interval is Student's of the windows' differences", () => {
  const differences = [0.3, -0.1, 0.2, 0.5, 0.1, 0.4];
  const { value, low } = pairedDifference(
    differences.map(() => 10),
    differences.map(() => 0),
    differences.map((d) => d * 10),
  );
  const mean = differences.reduce((sum, d) => sum + d, 0) / 6;
  const deviation = Math.sqrt(differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / 5);
  assert.ok(Math.abs(value - mean) < 1e-12);
  assert.ok(Math.abs(value - low - (2.5706 * deviation) / Math.sqrt(6)) < 0.005);
  assert.ok(Math.abs(studentQuantile(15) - 2.1314) < 0.002);
});

test("what devices download is compared where both say it", () => {
  const of = (wireBytes: number) => variant("v", hard, () => true, { wireBytes });
  assert.match(renderComparison(compareVariants(of(80), of(40))), /download +80 B +40 B +x 0\.5/);
  assert.doesNotMatch(renderComparison(compareVariants(base, of(40))), /download/);
});

test("noise is called no difference, and one window alone proves nothing", () => {
  const noisy = variant(
    "noisy",
    (window) => hard(window) + (window % 2 === 0 ? 0.1 : -0.1),
    () => true,
  );
  assert.match(renderComparison(compareVariants(base, noisy)), /perplexity .*no difference shown/);
  assert.equal(pairedDifference([5], [1], [2]).low, Number.NEGATIVE_INFINITY);
});

test("other text, another model and reports without pairs are refused", () => {
  const other = variant("other", hard, () => true, { datasetDigest: digestOfBytes("other text") });
  assert.throws(
    () => compareVariants(base, other),
    (error) => hasCode(error, "compare.other-text"),
  );
  const foreign = variant("foreign", hard, () => true, { modelName: "big" });
  assert.throws(
    () => compareVariants(base, foreign),
    (error) => hasCode(error, "compare.other-model"),
  );
  const old = variant("old", hard, () => true, { paired: null });
  assert.throws(
    () => compareVariants(base, old),
    (error) => hasCode(error, "compare.not-kept"),
  );
});

test("a baseline is kept at first, holds for what is no worse, and is broken by what is worse with certainty", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-baseline-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "baseline.json");
  const against = (loss: number, wobble = 0) =>
    compareVariants(
      base,
      variant(
        "q4",
        (window) => hard(window) + loss + wobble * (window % 2 === 0 ? 1 : -1),
        () => true,
      ),
    );
  assert.equal(await holdAgainst(path, against(0.01, 0.002)), "written");
  assert.equal(await holdAgainst(path, against(0.01, 0.002)), "kept");
  assert.equal(await holdAgainst(path, against(0.011, 0.01)), "kept");
  assert.equal(await holdAgainst(path, against(-0.02)), "kept");
  await assert.rejects(holdAgainst(path, against(0.05)), (error) => hasCode(error, "baseline.broken"));
  const elsewhere = variant("q4", hard, () => true, { datasetDigest: digestOfBytes("other") });
  const otherText = compareVariants(elsewhere, elsewhere);
  await assert.rejects(holdAgainst(path, otherText), (error) => hasCode(error, "baseline.other-text"));
  await writeFile(path, "{}");
  await assert.rejects(holdAgainst(path, against(0)), (error) => hasCode(error, "baseline.invalid"));
});

test("answers to the same prompts stand below each other, and those that flipped are counted", () => {
  const says = (name: string, answers: Record<string, string>) => variant(name, hard, () => true, { answers });
  const comparison = compareVariants(
    says("base", { "Once upon": " a time there was a cat.\nIt slept.", "The sun": " rose.", "only in base": "x" }),
    says("q4", { "Once upon": " a time there was a cow.", "The sun": " rose." }),
  );
  assert.deepEqual(
    comparison.answers.map(({ prompt }) => prompt),
    ["Once upon", "The sun"],
  );
  const text = renderComparison(comparison);
  assert.match(text, /1 of 2 answers flipped/);
  assert.match(
    text,
    / {2}prompt {2}Once upon\n {2}base {4} a time there was a cat\. \/ It slept\.\n {2}q4 {6} a time there was a cow\.\n/,
  );
  assert.match(text, /prompt {2}The sun\n {2}base {4} rose\.\n {2}q4 {6}the same\n/);
});

test("slices of the text that both were judged on are compared apart", () => {
  const quality = { perplexity: 20, bitsPerByte: 1, agreement: 0.9, kl: 0.1, klHalfWidth: 0.01 };
  const slice = (name: string, perplexity: number): SliceQuality => ({
    name,
    tokens: 500,
    dense: quality,
    exported: { ...quality, perplexity },
  });
  const with_ = (name: string, slices: SliceQuality[]) => variant(name, hard, () => true, { slices });
  const comparison = compareVariants(
    with_("base", [slice("chat", 10), slice("code", 12), slice("old", 1)]),
    with_("q4", [slice("code", 15), slice("chat", 11)]),
  );
  assert.deepEqual(
    comparison.slices.map(({ name, perplexity }) => [name, perplexity]),
    [
      ["chat", { a: 10, b: 11 }],
      ["code", { a: 12, b: 15 }],
    ],
  );
  assert.match(renderComparison(comparison), /code +500 +12\.000 -> 15\.000 +0\.1000 -> 0\.1000 +90\.0 % -> 90\.0 %/);
});
