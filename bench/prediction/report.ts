import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Kit } from "@espalier/shared/contracts/kit";
import { quantile } from "../../agent/src/measure/sample.ts";
import { type Goal, table, writeMeasurements } from "../write-measurements.ts";
import { type Comparison, compare, errorOf, floorOf, quantities } from "./compare.ts";
import { contextTokens, readRows, readVariants } from "./pieces.ts";
import { regretOf } from "./regret.ts";

/** Turns the rows taken so far into docs/measurements/prediction. */
const { values } = parseArgs({ options: { graphs: { type: "string" }, rows: { type: "string" } } });
const graphs = values.graphs ?? ".espalier/bench-prediction/graphs";
const rows = await readRows(values.rows ?? ".espalier/bench-prediction/rows.jsonl");

const comparisons: Comparison[] = [];
const bytes = new Map<string, number>();
for (const row of rows) {
  if (row.kind !== "kit") continue;
  const { family, budget } = row;
  const kit = Kit.parse(JSON.parse(await readFile(join(graphs, family, "kit", "kit.json"), "utf8")));
  const variants = await readVariants(graphs, family);
  for (const { name, weightsBytes } of variants) bytes.set(`${family}/${name}`, weightsBytes);
  const measured = rows.filter((other) => other.kind === "variant");
  const here = measured.filter((other) => other.family === family && other.budget === budget);
  comparisons.push(...compare(kit, row, variants, here, contextTokens));
}

const pairs = new Set(comparisons.map(({ family, budget, variant }) => `${family}/${budget}/${variant}`));
const kits = rows.filter((row) => row.kind === "kit");
const statistics = quantities.map((quantity) =>
  statisticsOf(
    quantity,
    comparisons.filter((c) => c.quantity === quantity),
  ),
);
const errors = comparisons.map(errorOf);
const floors = comparisons.map(floorOf);
const regret = regretOf(comparisons, bytes);
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

await writeMeasurements("prediction", "Predicted against measured", {
  command: "make bench-prediction SMOLLM2=FILE.gguf",
  rows: comparisons.map(({ measured: [first, second], ...comparison }, index) => ({
    ...comparison,
    ...{ measuredFirst: first, measuredSecond: second },
    ...{ error: rounded(errors[index] ?? 0), floor: rounded(floors[index] ?? 0) },
  })),
  goals,
  page: `
Each budget (threads; half a core by a control group's quota) measured the kit of each family of shapes, then every variant twice,
each time in a process of its own, the second time after all others. Predictions come from the kit's timings alone, by the
coordinator's own code; no variant was used to fit anything. The floor is the difference between both rounds, in the same run:
the machine is shared with other work, so the floor is what the machine itself disagrees with itself by. Random weights stand in
for made-up shapes (${comparisons.some(({ real }) => real) ? "SmolLM2's real variants are marked" : "SmolLM2's real variants were not reached in this run"}).
Prompts of 16, 64, 512 and 1024 tokens; 24 or 16 tokens decoded. Memory is without tokenizer.

${pairs.size} pairs of variant and budget, ${comparisons.length} comparisons; kits took ${Math.min(...kits.map(({ seconds }) => seconds))} to ${Math.max(...kits.map(({ seconds }) => seconds))} s.

${table(
  [
    "quantity",
    "comparisons",
    "median error",
    "p95 error",
    "median floor",
    "p95 floor",
    "within the stated uncertainty",
  ],
  statistics.map(({ quantity, count, error, floor, within }) => [
    quantity,
    String(count),
    ...[error.median, error.p95, floor.median, floor.p95, within].map((share) => `${percent(share)} %`),
  ]),
)}
${caution}By budget and family, median error / median floor:

${table(["budget", "family", "pairs", ...quantities], byPiece())}
## The choice that follows

Of every family and budget the biggest variant that keeps a limit on time per output token, for ${regret.limits} limits from just above the
fastest to well above the slowest: chosen by the prediction's upper end, as plans do, it is the one that exhaustive measuring gives in
${regret.same} of ${regret.limits} cases, gives away ${regret.meanStepsLost.toFixed(2)} steps of size on average, and breaks ${regret.broken} limits, by at most ${percent(regret.worstExcess)} %.`,
});
process.stdout.write(`${pairs.size} pairs: docs/measurements/prediction.md\n`);

function statisticsOf(quantity: string, of: readonly Comparison[]) {
  const within =
    of.filter((comparison) => errorOf(comparison) <= comparison.uncertainty).length / Math.max(1, of.length);
  return { quantity, count: of.length, error: spread(of.map(errorOf)), floor: spread(of.map(floorOf)), within };
}

function spread(shares: readonly number[]): { median: number; p95: number } {
  const sorted = [...shares].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) };
}

function byPiece(): string[][] {
  return [...Map.groupBy(comparisons, ({ budget, family }) => `${budget}\n${family}`)].map(([key, of]) => [
    ...key.split("\n"),
    String(new Set(of.map(({ variant }) => variant)).size),
    ...quantities.map((quantity) => {
      const mine = of.filter((comparison) => comparison.quantity === quantity);
      return `${percent(spread(mine.map(errorOf)).median)} / ${percent(spread(mine.map(floorOf)).median)} %`;
    }),
  ]);
}

function percent(share: number): number {
  return Math.round(share * 1000) / 10;
}

function rounded(share: number): number {
  return Math.round(share * 1e4) / 1e4;
}
