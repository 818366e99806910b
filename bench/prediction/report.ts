import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { upperEndOf } from "@espalier/shared/contracts/plan";
import { type Goal, table, writeMeasurements } from "../write-measurements.ts";
import { leaveBudgetsOut, meantShare } from "./calibration.ts";
import { type Comparison, compare, quantities } from "./compare.ts";
import { contextTokens, lineOf, readRows } from "./pieces.ts";
import { regretOf } from "./regret.ts";
import { cells, figures, percent, statisticsOf } from "./statistics.ts";

/**
 * Predicts by the code of today what the rows of one or several runs measured, and writes both to docs/measurements:
 * `prediction-runs.jsonl` holds the rows, so that a change of the cost model is judged without measuring again.
 */
const { positionals } = parseArgs({ allowPositionals: true });
const rows = await readRows(positionals);
const kits = rows.filter((row) => row.kind === "kit");
const measured = rows.filter((row) => row.kind === "variant");
if (kits.length === 0) throw new Error(`no measured kit in ${positionals.join(", ") || "no file"}`);

const comparisons: Comparison[] = [];
const bytes = new Map<string, number>();
for (const row of rows) {
  if (row.kind !== "family") continue;
  const { family, variants } = row;
  for (const { name, weightsBytes } of variants) bytes.set(`${family}/${name}`, weightsBytes);
  for (const kit of kits.filter((other) => other.family === family)) {
    const here = measured.filter((other) => other.family === family && other.budget === kit.budget);
    comparisons.push(...compare(row, kit, here, contextTokens));
  }
}

const pairs = new Set(comparisons.map(({ family, budget, variant }) => `${family}/${budget}/${variant}`));
const statistics = quantities.map((quantity) =>
  statisticsOf(
    quantity,
    comparisons.filter((c) => c.quantity === quantity),
  ),
);
/** Ways to choose under limits on a run's median, and as plans do under limits on requests' 90th percentile. */
const choices = [
  {
    by: "the prediction's upper end",
    regret: regretOf(
      comparisons,
      bytes,
      ({ value }) => value,
      ({ prediction: { value, relativeUncertainty } }) => value * (1 + relativeUncertainty),
    ),
  },
  {
    by: "the prediction itself",
    regret: regretOf(
      comparisons,
      bytes,
      ({ value }) => value,
      ({ prediction }) => prediction.value,
    ),
  },
  {
    by: "the upper end of requests' 90th percentile, as plans do",
    regret: regretOf(
      comparisons,
      bytes,
      ({ value, p90 }) => p90 ?? value,
      ({ prediction }) => upperEndOf(prediction),
    ),
  },
];
const goals: Goal[] = [
  { name: "(variant, budget) pairs", value: pairs.size, goal: "at least 60", met: pairs.size >= 60 },
  ...statistics.flatMap(({ quantity, error, floor }): Goal[] => [
    {
      name: `${quantity}, median error, %`,
      value: percent(error.median),
      goal: `at most 10, and at most twice the floor (${percent(2 * floor.median)})`,
      met: error.median <= 0.1 && error.median <= 2 * floor.median,
    },
    {
      name: `${quantity}, 95th percentile of error, %`,
      value: percent(error.p95),
      goal: `at most 20, or three times the floor's (${percent(3 * floor.p95)})`,
      met: error.p95 <= Math.max(0.2, 3 * floor.p95),
    },
  ]),
];

const floorOfTimes = Math.max(...statistics.slice(0, 2).map(({ floor }) => floor.median));
/** A floor beyond the goal itself: then the run judges the machine, not the prediction. */
const caution =
  floorOfTimes <= 0.1
    ? ""
    : `**The same variant measured twice differs by ${percent(floorOfTimes)} % in the median: the machine was far too busy with other work for this run to judge
predicted times.** Goals that are met only because the floor is high are no evidence either; the memory figures are. Run it again on a
quiet machine.

`;

const distinct = (values: readonly string[]) => [...new Set(values)].sort().join(", ");
await writeFile(new URL("../../docs/measurements/prediction-runs.jsonl", import.meta.url), rows.map(lineOf).join(""));
await writeMeasurements("prediction", "Predicted against measured", {
  command: "make bench-prediction SMOLLM2=FILE.gguf",
  measured: {
    machine: distinct(kits.map(({ machine }) => machine)),
    date: distinct(kits.map(({ date }) => date)),
  },
  rows: byPiece(),
  goals,
  page: `
Each budget (threads; half a core by a control group's quota) measured the kit of each family of shapes, then every variant twice,
each time in a process of its own, the second time after all others. Predictions come from the kit's timings alone, by the
coordinator's own code; no variant was used to fit anything. The floor is the difference between both rounds, in the same run:
the machine is shared with other work, so the floor is what the machine itself disagrees with itself by. Random weights stand in
for made-up shapes (${comparisons.some(({ real }) => real) ? "SmolLM2's real variants are marked" : "SmolLM2's real variants were not reached in this run"}).
Prompts of 16, 64, 512 and 1024 tokens; 24 or 16 tokens decoded. Memory is without tokenizer.

What was measured, shapes and timings, is kept in [prediction-runs.jsonl](prediction-runs.jsonl):
\`make bench-prediction REPLAY=docs/measurements/prediction-runs.jsonl\` predicts it anew with the code of today and writes this page.

${pairs.size} pairs of variant and budget, ${comparisons.length} comparisons; kits took ${Math.min(...kits.map(({ seconds }) => seconds))} to ${Math.max(...kits.map(({ seconds }) => seconds))} s.

${table(
  ["quantity", "comparisons", ...figures],
  statistics.map((figuresOfAll) => [figuresOfAll.quantity, String(figuresOfAll.count), ...cells(figuresOfAll)]),
)}
${caution}By budget and family; the signed error is the prediction's, so above 0 it promised too long or too much:

${table(
  ["budget", "family", "quantity", "comparisons", ...figures],
  byPiece().map((piece) => [piece.budget, piece.family, piece.quantity, String(piece.count), ...cells(piece)]),
)}
By family and length of the prompt, all budgets together:

${table(
  ["family", "quantity", "prompt", "comparisons", ...figures, "p90 below its upper end"],
  pieces(
    comparisons.filter(({ quantity }) => quantity !== "peak memory"),
    ({ family, quantity, promptTokens }) => [family, quantity, String(promptTokens)],
  ).map(({ keys, of, quantity }) => {
    const statistics = statisticsOf(quantity, of);
    return [...keys, String(of.length), ...cells(statistics), `${percent(statistics.p90Below ?? 0)} %`];
  }),
)}
The first tokens of an answer take longer than those that follow, by a part of a millisecond each: little beside the tokens of SmolLM2,
much beside the narrow family's, which take a third of one. The kit's answers are of 16 tokens; the variants' after short prompts are of
24, which spreads it over more, so that these are predicted too long.

## What the stated uncertainty holds

It is meant to hold ${percent(meantShare)} % of runs: medians of so many requests as a run had (the fewer, the further they scatter, by what the
kit's own requests did). The device's own timings say all of it but a floor: 5 % of times, and 3 % of memory, which counts a tokenizer
that these processes lack. No constant in it comes from these pairs. Were one taken from them, a factor for all that makes ${percent(meantShare)} %
of the other budgets' runs, it would hold this much of the one left out:

${table(
  ["budget", "quantity", "as stated", "factor by the others", "with it"],
  leaveBudgetsOut(comparisons).map(({ budget, quantity, within, factor, withFactor }) => [
    budget,
    quantity,
    `${percent(within)} %`,
    factor.toFixed(2),
    `${percent(withFactor)} %`,
  ]),
)}
Requests' 90th percentile stayed below its upper end, which limits are held against, in ${statistics
    .slice(0, 2)
    .map(({ quantity, p90Below }) => `${percent(p90Below ?? 0)} % of runs (${quantity})`)
    .join(" and ")}; 95 % are meant.
What is missing are first tokens of short prompts beside a busy process and on two threads of two cores: a few milliseconds long, they wait
for the scheduler more often than the kit's did.

## The choice that follows

Of every family and budget the biggest variant that keeps a limit on time per output token, for ${choices[0]?.regret.limits ?? 0} limits from just above the
fastest to well above the slowest, beside the one that exhaustive measuring gives (the mean of both rounds).
The last row's limits are on requests' 90th percentile, the others' on a run's median.

${table(
  ["chosen by", "the same variant", "steps of size given away, mean", "limits broken", "worst"],
  choices.map(({ by, regret: { same, meanStepsLost, broken, worstExcess } }) => [
    by,
    String(same),
    meanStepsLost.toFixed(2),
    String(broken),
    `${percent(worstExcess)} %`,
  ]),
)}`,
});
process.stdout.write(
  `${table(
    ["quantity", "comparisons", ...figures],
    statistics.map((all) => [all.quantity, String(all.count), ...cells(all)]),
  )}`,
);
process.stdout.write(`${pairs.size} pairs: docs/measurements/prediction.md\n`);

function byPiece() {
  return pieces(comparisons, ({ budget, family, quantity }) => [budget, family, quantity]).map(
    ({ keys: [budget = "", family = ""], of, quantity }) => ({ budget, family, ...statisticsOf(quantity, of) }),
  );
}

/** Comparisons that have the same keys, in their first ones' order. */
function pieces(all: readonly Comparison[], keysOf: (comparison: Comparison) => string[]) {
  return [...Map.groupBy(all, (comparison) => keysOf(comparison).join("\n")).values()].flatMap((of) => {
    const [first] = of;
    return first === undefined ? [] : [{ keys: keysOf(first), of, quantity: first.quantity }];
  });
}
