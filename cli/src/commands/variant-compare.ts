import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { Command } from "commander";
import { holdAgainst } from "../compare/baseline.ts";
import { type Comparison, compareVariants } from "../compare/compare-variants.ts";
import type { Interval } from "../compare/paired-statistics.ts";
import { addExamples } from "../help/examples.ts";
import { dim, warning } from "../output/colour.ts";
import { renderTable, type Showing } from "../output/print.ts";
import { bytes, percent } from "../output/quantities.ts";
import { showOne } from "../session.ts";
import type { VariantView } from "./variant.ts";

const compared: Showing<Comparison> = { name: ({ b }) => b.name, text: renderComparison };

/** `variant compare`. `find` throws for a variant that is not there. */
export function compareCommand(
  group: Command,
  find: (client: OperatorClient, variant: string) => Promise<VariantView>,
): void {
  const compare = group
    .command("compare <a> <b>")
    .description("what B loses or gains against A on the same text, in pairs, with confidence intervals")
    .option("--baseline <file>", "keep the comparison in this file; where it is kept, fail when B has become worse")
    .addHelpText(
      "after",
      `
Both are judged as ONNX Runtime ran their files on the builder. Pairing window by window takes out what makes text hard
for both, so that small differences show. Below the figures: how each continues the same pieces of the text. Exit code 1 when a figure is worse than the baseline's beyond both intervals.`,
    )
    .action((a: string, b: string, { baseline }: { baseline?: string }, command: Command) =>
      showOne(command, compared, async (client) => {
        const comparison = compareVariants(await find(client, a), await find(client, b));
        if (baseline !== undefined) {
          const outcome = await holdAgainst(baseline, comparison);
          process.stderr.write(outcome === "written" ? `kept in ${baseline}\n` : `no worse than ${baseline}\n`);
        }
        return comparison;
      }),
    );
  addExamples(compare, [
    ["espalier variant compare dense-q8b128 dense-q4b32a", "what 4 bits cost"],
    [
      "espalier variant compare dense-q8b128 dense-q4b32a --baseline q4.json",
      "in CI: fails when it costs more than it did",
    ],
  ]);
}

/** A comparison for people. */
export function renderComparison(comparison: Comparison): string {
  const { a, b, text, flips } = comparison;
  const size = (figure: string, ofA: number, ofB: number) => {
    return { figure, a: bytes(ofA), b: bytes(ofB), difference: times(ofB / ofA), verdict: "" };
  };
  const rows = [
    size("size", a.totalBytes, b.totalBytes),
    ...(a.wireBytes === null || b.wireBytes === null ? [] : [size("download", a.wireBytes, b.wireBytes)]),
    {
      figure: "perplexity",
      a: a.perplexity.toFixed(3),
      b: b.perplexity.toFixed(3),
      difference: between(comparison.perplexityRatio, times),
      verdict: verdict(comparison.perplexityRatio, 1, "higher is worse"),
    },
    {
      figure: "KL to dense",
      a: a.kl.toFixed(4),
      b: b.kl.toFixed(4),
      difference: between(comparison.klDifference, (value) => signed(value, 4)),
      verdict: verdict(comparison.klDifference, 0, "higher is worse"),
    },
    {
      figure: "agreement with dense",
      a: percent(a.agreement),
      b: percent(b.agreement),
      difference: between(comparison.agreementDifference, (value) => `${signed(value * 100, 2)} points`),
      verdict: verdict(comparison.agreementDifference, 0, "lower is worse"),
    },
  ];
  const table = renderTable(rows, [
    { title: "FIGURE", cell: (row) => row.figure },
    { title: a.name, cell: (row) => row.a },
    { title: b.name, cell: (row) => row.b },
    { title: "DIFFERENCE (95 %)", cell: (row) => row.difference },
    { title: "VERDICT", cell: (row) => row.verdict },
  ]);
  const origin = text.datasetOrigin === "given" ? "the evaluation dataset" : "text that the dense model wrote";
  const where = `${text.tokens} tokens in ${text.windows} windows of ${origin}`;
  return `${comparison.model}: ${b.name} against ${a.name}, on ${where}\n\n${table}
Of ${text.tokens} tokens, ${flips.onlyA} are the dense model's choice with ${a.name} alone, ${flips.onlyB} with ${b.name} alone.\n${slicesText(comparison)}${answersText(comparison)}`;
}

function slicesText({ a, b, slices }: Comparison): string {
  if (slices.length === 0) return "";
  type Slice = Comparison["slices"][number];
  const pair = (key: "perplexity" | "kl" | "agreement", format: (value: number) => string) => (slice: Slice) =>
    `${format(slice[key].a)} -> ${format(slice[key].b)}`;
  return `\nBy slice of the text, ${a.name} -> ${b.name}:\n${renderTable(slices, [
    { title: "SLICE", cell: ({ name }) => name },
    { title: "TOKENS", cell: ({ tokens }) => String(tokens) },
    { title: "PERPLEXITY", cell: pair("perplexity", (value) => value.toFixed(3)) },
    { title: "KL TO DENSE", cell: pair("kl", (value) => value.toFixed(4)) },
    { title: "AGREEMENT", cell: pair("agreement", percent) },
  ])}`;
}

const promptChars = 72;

/** Both answers to each prompt, below each other; where they part, the rest is marked on a terminal. */
function answersText({ a, b, answers }: Comparison): string {
  if (answers.length === 0) return "";
  const flipped = answers.filter((answer) => answer.a !== answer.b).length;
  const width = Math.max(a.name.length, b.name.length, "prompt".length);
  const line = (title: string, text: string) => `  ${title.padEnd(width)}  ${text}`;
  const blocks = answers.map((answer) => {
    const shared = sharedWords(answer.a, answer.b);
    const shown = (text: string) => `${oneLine(text.slice(0, shared))}${warning(oneLine(text.slice(shared)))}`;
    const prompt = oneLine(answer.prompt);
    return [
      line("prompt", dim(prompt.length > promptChars ? `...${prompt.slice(-promptChars)}` : prompt)),
      line(a.name, shown(answer.a)),
      line(b.name, answer.a === answer.b ? dim("the same") : shown(answer.b)),
    ].join("\n");
  });
  return `\n${flipped} of ${answers.length} answers flipped (the likeliest continuation of pieces of the text):\n${blocks.join("\n\n")}\n`;
}

/** Characters up to the word at which two texts part. */
function sharedWords(a: string, b: string): number {
  let shared = 0;
  while (shared < Math.min(a.length, b.length) && a[shared] === b[shared]) shared++;
  return shared === a.length && shared === b.length ? shared : a.lastIndexOf(" ", shared) + 1;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " / ");
}

function verdict({ low, high }: Interval, equal: number, worse: "higher is worse" | "lower is worse"): string {
  if (low <= equal && equal <= high) return "no difference shown";
  return low > equal === (worse === "higher is worse") ? "worse" : "better";
}

function between({ value, low, high }: Interval, format: (value: number) => string): string {
  return `${format(value)} (${format(low)} to ${format(high)})`;
}

function times(ratio: number): string {
  return `x ${ratio.toPrecision(4)}`;
}

function signed(value: number, digits: number): string {
  return `${value < 0 ? "" : "+"}${value.toFixed(digits)}`;
}
