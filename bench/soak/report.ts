import { readFile } from "node:fs/promises";
import { type Goal, table, writeMeasurements } from "../write-measurements.ts";

export interface SoakRow {
  readonly model: string;
  readonly minutes: number;
  readonly swaps: number;
  readonly answered: number;
  readonly cancelled: number;
  readonly refused: number;
  readonly errors: number;
  /** Least resident set of swaps 11 to 20, and of the last ten. */
  readonly residentEarlyBytes: number;
  readonly residentLateBytes: number;
}

/** Memory after the last swap may exceed that after an early one by this share. */
const allowedGrowth = 0.05;

const growthOf = ({ residentEarlyBytes, residentLateBytes }: SoakRow): number =>
  residentLateBytes / residentEarlyBytes - 1;

/** Whether a run kept what is asked of it. */
export function goalsOf(row: SoakRow): Goal[] {
  const growth = Number(growthOf(row).toFixed(4));
  return [
    {
      name: `${row.model}: errors, answers that changed and failed requests`,
      value: row.errors,
      goal: "0",
      met: row.errors === 0,
    },
    {
      name: `${row.model}: growth of resident memory from swap 10 to ${row.swaps}`,
      value: growth,
      goal: `at most ${allowedGrowth}`,
      met: growth <= allowedGrowth,
    },
  ];
}

/** Writes docs/measurements/soak.{md,json}: this run's row, and what was found with other models before. */
export async function writeSoak(row: SoakRow): Promise<void> {
  const file = new URL("../../docs/measurements/soak.json", import.meta.url);
  const { rows: earlier } = JSON.parse(await readFile(file, "utf8")) as { rows: SoakRow[] };
  const rows = [...earlier.filter(({ model }) => model !== row.model), row];
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const page = `
One process serves a model (one thread) to some applications at once: chats and completions, plain and streamed, greedy and
sampled, several answers, log probabilities, long prompts; one in five leaves in the middle. Meanwhile the variant is swapped
between 8 and 4 bits as fast as the next one loads beside it and the replaced one has ended its requests. An equal request with
a seed must get an equal answer from the same variant; memory is the least resident set of ten swaps in a row.
\`MODEL=FILE\` takes a GGUF instead of the bundled model; each model keeps its row.

${table(
  ["model", "minutes", "swaps", "answered", "left by the client", "answered 429", "swaps 11 to 20", "the last ten"],
  rows.map((one) => [
    one.model,
    ...[one.minutes, one.swaps, one.answered, one.cancelled, one.refused].map(String),
    megabytes(one.residentEarlyBytes),
    megabytes(one.residentLateBytes),
  ]),
)}
Why it doesn't grow: [decisions/0014](../decisions/0014-threads-outlive-variants.md).`;
  const command = "make soak";
  await writeMeasurements("soak", "Serving under everything at once", {
    command,
    rows,
    goals: rows.flatMap(goalsOf),
    page,
  });
}
