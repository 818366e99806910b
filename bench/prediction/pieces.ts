import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { GraphContract, TensorEntry } from "@espalier/shared/contracts/manifest";
import { Budget, KitTiming } from "@espalier/shared/contracts/profile";
import { VariantShape } from "@espalier/shared/contracts/shape";
import { z } from "zod";

/** The owner's budgets that one machine plays. */
export const budgets = {
  "1 thread": budget(1, null),
  "2 threads": budget(2, null),
  "1 thread, half a core": budget(1, 0.5),
} satisfies Record<string, Budget>;

/** The quickest first. */
export const families = ["narrow", "wide", "smollm2"] as const;

function budget(threads: number, cpuQuota: number | null): Budget {
  return { threads, cpuQuota, memoryBytes: null, diskBytes: null };
}

/** Room in the measured caches: for the longest prompt and its answer. */
export const contextTokens = 1100;

/** A variant as `builder/bench/prediction_graphs.py` writes it. */
export const BenchVariant = z.strictObject({
  name: z.string(),
  /** Has SmolLM2's own weights; the others are filled with random bytes. */
  real: z.boolean(),
  shape: VariantShape,
  graph: GraphContract,
  weightsFile: z.string(),
  weightsBytes: z.int(),
  tensors: z.array(TensorEntry),
});
export type BenchVariant = z.infer<typeof BenchVariant>;

export async function readVariants(graphs: string, family: string): Promise<BenchVariant[]> {
  return z.array(BenchVariant).parse(JSON.parse(await readFile(join(graphs, family, "variants.json"), "utf8")));
}

const Piece = { family: z.string(), budget: z.string() };

/** What one kit told of a budget: the whole that predictions are made from. */
export const KitRow = z.strictObject({
  kind: z.literal("kit"),
  ...Piece,
  budgetSettings: Budget,
  seconds: z.number(),
  timings: z.array(KitTiming),
});
export type KitRow = z.infer<typeof KitRow>;

/** One variant measured once, in a process of its own. */
export const VariantRow = z.strictObject({
  kind: z.literal("variant"),
  ...Piece,
  variant: z.string(),
  round: z.int(),
  points: z.array(
    z.strictObject({
      promptTokens: z.int(),
      outputTokens: z.int(),
      ttftMs: z.number(),
      tpotMs: z.number(),
      repetitions: z.int(),
    }),
  ),
  /** Resident before loading, and the highest while loading and running. */
  baseBytes: z.number(),
  peakBytes: z.number(),
  loadMs: z.number(),
});
export type VariantRow = z.infer<typeof VariantRow>;

export const Row = z.discriminatedUnion("kind", [KitRow, VariantRow]);
export type Row = z.infer<typeof Row>;

/** The rows taken so far; none before the first piece. */
export async function readRows(path: string): Promise<Row[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Row.parse(JSON.parse(line)));
}
