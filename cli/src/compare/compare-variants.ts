import { Digest } from "@espalier/shared/contracts/digest";
import type { PairedFigures } from "@espalier/shared/contracts/report";
import { EspalierError } from "@espalier/shared/errors";
import { z } from "zod";
import type { VariantView } from "../commands/variant.ts";
import { pairedDifference } from "./paired-statistics.ts";

const Interval = z.strictObject({ value: z.number(), low: z.number(), high: z.number() });
const Side = z.strictObject({
  name: z.string(),
  artifactDigest: Digest,
  totalBytes: z.int(),
  /** What a device that holds nothing of it downloads; null where nobody measured it. */
  wireBytes: z.int().nullable().default(null),
  perplexity: z.number(),
  kl: z.number(),
  agreement: z.number(),
});

/** Two variants on the same text, in pairs. Differences are B minus A, with 95 % confidence intervals. */
export const Comparison = z.strictObject({
  schemaVersion: z.literal(1),
  model: z.string(),
  a: Side,
  b: Side,
  text: z.strictObject({
    datasetDigest: Digest.nullable(),
    datasetOrigin: z.enum(["given", "self-sampled"]),
    sequenceLength: z.int(),
    windows: z.int(),
    tokens: z.int(),
  }),
  /** B's perplexity over A's. */
  perplexityRatio: Interval,
  klDifference: Interval,
  agreementDifference: Interval,
  /** Tokens at which one of the two alone chooses what the dense model chooses. */
  flips: z.strictObject({ onlyA: z.int(), onlyB: z.int() }),
  /** By slice of the text; of those that both reports have. */
  slices: z
    .array(
      z.strictObject({
        name: z.string(),
        tokens: z.int(),
        perplexity: z.strictObject({ a: z.number(), b: z.number() }),
        kl: z.strictObject({ a: z.number(), b: z.number() }),
        agreement: z.strictObject({ a: z.number(), b: z.number() }),
      }),
    )
    .default([]),
  /** How each continues the same pieces of the text, by its likeliest tokens. */
  answers: z.array(z.strictObject({ prompt: z.string(), a: z.string(), b: z.string() })).default([]),
});
export type Comparison = z.infer<typeof Comparison>;

/**
 * Compares what the two reports hold of the exported files.
 * @throws {EspalierError} `compare.other-model`, `compare.other-text`, `compare.not-kept`
 */
export function compareVariants(a: VariantView, b: VariantView): Comparison {
  if (a.modelName !== b.modelName) {
    throw new EspalierError("compare.other-model", `${a.name} is of ${a.modelName}, ${b.name} of ${b.modelName}`, {
      remedy: "compare variants of one model",
    });
  }
  const [left, right] = [figuresOf(a), figuresOf(b)];
  const text = sharedText(left, right);
  const agreements = [agreeingTokens(left.paired), agreeingTokens(right.paired)] as const;
  const { tokens } = left.paired;
  const nll = pairedDifference(tokens, left.paired.nll, right.paired.nll);
  return {
    schemaVersion: 1,
    model: a.modelName,
    a: left.side,
    b: right.side,
    text,
    perplexityRatio: { value: Math.exp(nll.value), low: Math.exp(nll.low), high: Math.exp(nll.high) },
    klDifference: pairedDifference(tokens, left.paired.kl, right.paired.kl),
    agreementDifference: pairedDifference(tokens, sums(tokens, agreements[0]), sums(tokens, agreements[1])),
    flips: {
      onlyA: agreements[0].filter((agrees, token) => agrees && !agreements[1][token]).length,
      onlyB: agreements[1].filter((agrees, token) => agrees && !agreements[0][token]).length,
    },
    slices: left.slices.flatMap(({ name, tokens, exported: mine }) => {
      const other = right.slices.find((slice) => slice.name === name)?.exported;
      if (other === undefined) return [];
      const both = (key: "perplexity" | "kl" | "agreement") => ({ a: mine[key], b: other[key] });
      return [{ name, tokens, perplexity: both("perplexity"), kl: both("kl"), agreement: both("agreement") }];
    }),
    answers: left.answers.flatMap(({ prompt, answer }) => {
      const other = right.answers.find((one) => one.prompt === prompt);
      return other === undefined ? [] : [{ prompt, a: answer, b: other.answer }];
    }),
  };
}

type Figures = ReturnType<typeof figuresOf>;

function figuresOf({ name, artifactDigest, totalBytes, wireBytes, report }: VariantView) {
  const exported = report?.stages.find(({ stage }) => stage === "exported");
  if (!report?.paired || !exported?.quality || !exported.protocol) {
    throw new EspalierError("compare.not-kept", `the report of ${name} holds no figures to pair`, {
      fields: { variant: name },
      remedy: "an older builder made it: a rollout with another build.seed builds it anew",
    });
  }
  const { perplexity, kl, agreement } = exported.quality;
  return {
    side: { name, artifactDigest: Digest.parse(artifactDigest), totalBytes, wireBytes, perplexity, kl, agreement },
    paired: report.paired,
    slices: report.slices,
    answers: report.answers,
    protocol: exported.protocol,
  };
}

function sharedText(left: Figures, right: Figures): Comparison["text"] {
  const [a, b] = [left, right].map(({ protocol: { engine: _e, engineVersion: _v, ...text } }) => text);
  if (a === undefined || JSON.stringify(a) !== JSON.stringify(b)) {
    throw new EspalierError(
      "compare.other-text",
      `${left.side.name} and ${right.side.name} were judged on other text`,
      {
        remedy: "build both in rollouts with the same evaluation dataset and build.evaluationTokens",
      },
    );
  }
  return a;
}

function agreeingTokens({ tokens, agreeing }: PairedFigures): boolean[] {
  const bytes = Buffer.from(agreeing, "base64");
  const total = tokens.reduce((sum, count) => sum + count, 0);
  return Array.from({ length: total }, (_, token) => (((bytes[token >> 3] ?? 0) >> (token & 7)) & 1) === 1);
}

/** How many of each window's tokens hold. */
function sums(tokens: readonly number[], holds: readonly boolean[]): number[] {
  let start = 0;
  return tokens.map((count) => {
    const window = holds.slice(start, start + count);
    start += count;
    return window.filter(Boolean).length;
  });
}
