import { type Goal, table, writeMeasurements } from "../write-measurements.ts";
import type { Packed } from "./measure-bytes.ts";

export interface Row extends Packed {
  variant: string;
  chunks: number;
  /** Of them, those that travel packed. */
  packed: number;
  /** Time per output token beside the dense variant's in the same format, over rounds; null where it was not timed. */
  tpotOfDense: Spread | null;
}

/** By name, since the formatter would lay out lists of numbers in its own way. */
export interface Spread {
  median: number;
  least: number;
  most: number;
}

export interface LevelRow extends Packed {
  variant: string;
  level: number;
}

export async function report(rows: readonly Row[], byLevel: readonly LevelRow[]): Promise<void> {
  await writeMeasurements("wire-bytes", "What travels of an artifact", {
    command: "make bench-wire SMOLLM2=FILE.gguf DATA=FOLDER",
    rows: [...rows, ...byLevel],
    goals: goals(rows),
    page: `
Whole artifacts of SmolLM2-135M-Instruct as the builder writes them, all files, and what a device that holds none of their chunks
takes from the broker: the coordinator's own packing (zstd at level 1, chunk by chunk, only where it saves 5 %), unpacked by the
agent's. Codes are rounded (rtn); masks are SparseGPT's. Packing and unpacking are told in multiples of the time that SHA-256 takes
for the same plain bytes on the same core, which the device spends on them anyway. *decode* is the time per output token at 64
tokens of context beside the dense variant's in the same format (1 thread, the agent's own kernels, a process each in turn, median and
range of the rounds).

${table(
  [
    "variant",
    "files, MB",
    "on the wire, MB",
    "share",
    "chunks packed",
    "pack / SHA-256",
    "unpack / SHA-256",
    "decode / dense",
  ],
  rows.map((row) => [
    row.variant,
    (row.bytes / 1e6).toFixed(1),
    (row.wireBytes / 1e6).toFixed(1),
    percent(row),
    `${row.packed} of ${row.chunks}`,
    row.packOfSha.toFixed(1),
    row.unpackOfSha.toFixed(1),
    row.tpotOfDense === null ? "-" : ratio(row.tpotOfDense),
  ]),
)}
Dense artifacts gain from the padding of each row's last block, from codes that are not evenly spread, and from tokenizer and
documents, which are text. Masks gain bytes on the wire and nothing else: on the device a variant is unpacked, takes the bytes of
the dense one on the disk and in memory, and decodes as slowly. What decodes faster is narrower or has fewer bits.

## Levels of zstd

${table(
  ["variant", "level", "share", "pack / SHA-256", "unpack / SHA-256"],
  byLevel.map((row) => [
    row.variant,
    String(row.level),
    percent(row),
    row.packOfSha.toFixed(1),
    row.unpackOfSha.toFixed(1),
  ]),
)}
Higher levels take a multiple of the time for next to nothing, and masked codes of 8 bits they pack worse.
`,
  });
}

function goals(rows: readonly Row[]): Goal[] {
  const named = (name: string) => rows.find(({ variant }) => variant === name);
  const gain = Math.min(...rows.map(gainingMbitPerSecond));
  const beside = (name: string): Goal => {
    const value = (named(name)?.wireBytes ?? Number.NaN) / (named("dense-q4b128a")?.wireBytes ?? Number.NaN);
    const label = `bytes on the wire of ${name} beside dense-q4b128a, which also decodes faster`;
    return { name: label, value: round(value), goal: "below 1", met: value < 1 };
  };
  return [
    {
      name: "link up to which bytes that don't travel save more time than unpacking takes, least of all variants, Mbit/s",
      value: Math.round(gain),
      goal: "at least 400: a core four times slower still gains at 100",
      met: gain >= 400,
    },
    beside("sparsegpt-50-q8b128"),
    beside("sparsegpt-50-2of4-q8b128"),
  ];
}

/** As if nothing were unpacked beside the next download. */
function gainingMbitPerSecond({ bytes, wireBytes, unpackMs }: Row): number {
  return ((bytes - wireBytes) * 8) / 1e6 / (unpackMs / 1e3);
}

function ratio({ median, least, most }: Spread): string {
  return `${median.toFixed(2)} (${least.toFixed(2)}-${most.toFixed(2)})`;
}

function percent({ wireBytes, bytes }: Packed): string {
  return `${((100 * wireBytes) / bytes).toFixed(1)} %`;
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
