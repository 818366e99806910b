import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Kit } from "@espalier/shared/contracts/kit";
import { GraphContract, TensorEntry } from "@espalier/shared/contracts/manifest";
import { Budget, KitTiming } from "@espalier/shared/contracts/profile";
import { VariantShape } from "@espalier/shared/contracts/shape";
import { z } from "zod";

/** What one machine plays: an owner's budget, and what else runs on the machine meanwhile. */
export interface Condition {
  budget: Budget;
  /** A process that keeps one core busy, at the same priority. */
  busyProcess: boolean;
  families: readonly string[];
}

const all = ["smollm2", "wide", "narrow"];
const made = ["wide", "narrow"];

export const conditions: Readonly<Record<string, Condition>> = {
  "1 thread": condition({ threads: 1 }, all),
  "2 threads": condition({ threads: 2 }, all),
  "1 thread, half a core": condition({ threads: 1, cpuQuota: 0.5 }, all),
  "1 thread, 512 MiB": condition({ threads: 1, memoryBytes: 512 * 2 ** 20 }, made),
  "1 thread beside a busy process": { ...condition({ threads: 1 }, made), busyProcess: true },
};

function condition(budget: Pick<Budget, "threads"> & Partial<Budget>, families: readonly string[]): Condition {
  return { budget: { cpuQuota: null, memoryBytes: null, diskBytes: null, ...budget }, busyProcess: false, families };
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

/** What predicting and comparing needs of a family: shapes without weights or graphs, so that a run can be replayed. */
export const FamilyRow = z.strictObject({
  kind: z.literal("family"),
  family: z.string(),
  graphs: z.array(Kit.shape.graphs.element.pick({ id: true, shape: true, weightsBytes: true })),
  variants: z.array(BenchVariant.pick({ name: true, real: true, shape: true, weightsBytes: true })),
});
export type FamilyRow = z.infer<typeof FamilyRow>;

const Piece = { family: z.string(), budget: z.string() };

/** What one kit told of a budget: the whole that predictions are made from. */
export const KitRow = z.strictObject({
  kind: z.literal("kit"),
  ...Piece,
  machine: z.string(),
  date: z.iso.date(),
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
      /** Medians of the requests, and their 90th percentiles. */
      ttftMs: z.number(),
      tpotMs: z.number(),
      ttftP90Ms: z.number(),
      tpotP90Ms: z.number(),
      repetitions: z.int(),
    }),
  ),
  /** Resident before loading, and the highest while loading and running. */
  baseBytes: z.number(),
  peakBytes: z.number(),
  loadMs: z.number(),
});
export type VariantRow = z.infer<typeof VariantRow>;

export const Row = z.discriminatedUnion("kind", [FamilyRow, KitRow, VariantRow]);
export type Row = z.infer<typeof Row>;

/** The rows of all these files; of the same piece the last one holds. A file that isn't there has none. */
export async function readRows(paths: readonly string[]): Promise<Row[]> {
  const rows = new Map<string, Row>();
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    for (const line of text.split("\n").filter((line) => line !== "")) {
      const row = Row.parse(JSON.parse(line));
      rows.set(keyOf(row), row);
    }
  }
  return [...rows.values()];
}

/** One line of a file of rows; five digits of a time say all that a timer knows. */
export function lineOf(row: Row): string {
  const digits = (_: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
  return `${JSON.stringify(row, digits)}\n`;
}

function keyOf(row: Row): string {
  switch (row.kind) {
    case "family":
      return row.family;
    case "kit":
      return `${row.family}/${row.budget}`;
    case "variant":
      return `${row.family}/${row.budget}/${row.variant}/${row.round}`;
  }
}
