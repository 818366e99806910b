import type { Kit } from "@espalier/shared/contracts/kit";
import { table, writeMeasurements } from "../write-measurements.ts";

/** What a coordinator asks of a new device, in its order. */
export const kinds = ["memoryBandwidth", "diskWrite", "download", "kit"] as const;

export interface Row {
  condition: string;
  /** What enforced it. */
  cpuQuota: string;
  seconds: number;
  secondsOf: Record<(typeof kinds)[number], number>;
  /** Of the kit, and how many of them were timed a second time. */
  graphs: number;
  timedTwice: number;
}

const mostSeconds = 60;

export async function writeReport(rows: readonly Row[], { graphs }: Kit): Promise<void> {
  const [first] = graphs;
  const shape =
    first === undefined ? "" : `${first.shape.hiddenSize} wide, a vocabulary of ${first.shape.vocabularySize}`;
  const deepest = Math.max(...graphs.map(({ depth }) => depth));
  await writeMeasurements("measuring", "Measuring a device", {
    command: "make bench-measuring",
    rows,
    goals: rows.map(({ condition, seconds }) => ({
      name: `the whole suite, ${condition}, s`,
      value: seconds,
      goal: `at most ${mostSeconds}`,
      met: seconds <= mostSeconds,
    })),
    page: `
How long a new device is busy with what its coordinator asks of it. The packed agent measures, in a process under each budget (a
control group's quota), enrolled and in session over gRPC with TLS; its kit and the probes come from a broker on loopback. The kit is
that of SmolLM2's shapes: ${graphs.length} graphs, ${shape}, up to ${deepest} layers.

${table(
  ["condition", "quota enforced by", "seconds", ...kinds, "graphs", "timed twice"],
  rows.map(({ condition, cpuQuota, seconds, secondsOf, graphs: timed, timedTwice }) => [
    condition,
    cpuQuota,
    seconds.toFixed(1),
    ...kinds.map((kind) => secondsOf[kind].toFixed(1)),
    String(timed),
    String(timedTwice),
  ]),
)}`,
  });
}
