import type { Prediction, TimePrediction } from "@espalier/shared/contracts/plan";
import type { Measurements } from "@espalier/shared/contracts/profile";
import { factorsFor } from "../../coordinator/src/predict/decide/corrections.ts";
import { fitDevice } from "../../coordinator/src/predict/decide/device-model.ts";
import { prepareKit } from "../../coordinator/src/predict/decide/kit-designs.ts";
import { requestLengths } from "../../coordinator/src/predict/decide/length-weights.ts";
import { predictVariant, tokenizerBytes } from "../../coordinator/src/predict/decide/predict-variant.ts";
import { featuresOf } from "../../coordinator/src/predict/decide/shape-features.ts";
import type { FamilyRow, KitRow, VariantRow } from "./pieces.ts";

export const quantities = ["time per output token", "time to first token", "peak memory"] as const;

/** One quantity of one variant under one budget, predicted and measured twice. */
export interface Comparison {
  family: string;
  budget: string;
  variant: string;
  real: boolean;
  quantity: (typeof quantities)[number];
  /** Of the request; of the longest one for memory. */
  promptTokens: number;
  prediction: Prediction | TimePrediction;
  runs: readonly [Run, Run];
}

/** What one round measured: of times the median of so many requests, and their 90th percentile; of memory the peak alone. */
export interface Run {
  value: number;
  requests: number;
  p90: number | null;
}

/** Predictions from the kit's timings alone, beside both rounds of each variant. @param room tokens in the measured cache */
export function compare(
  { graphs, variants }: FamilyRow,
  { timings, budgetSettings, family, budget }: KitRow,
  rows: readonly VariantRow[],
  room: number,
): Comparison[] {
  const model = fitDevice(prepareKit({ graphs }), measurementsOf(timings));
  const comparisons: Comparison[] = [];
  for (const { name, shape, real, weightsBytes } of variants) {
    const rounds = rows.filter(({ variant }) => variant === name).sort((a, b) => a.round - b.round);
    const [first, second] = rounds;
    if (first === undefined || second === undefined) continue;
    const features = featuresOf(shape);
    const predict = (promptTokens: number, outputTokens: number) => {
      const result = predictVariant({
        model,
        lengths: requestLengths({ promptTokens, outputTokens }),
        measurements: { baseMemoryBytes: (first.baseBytes + second.baseBytes) / 2, downloadBytesPerSecond: null },
        cpuQuota: budgetSettings.cpuQuota,
        factors: factorsFor([], ""),
        power: null,
        shape: features,
        contextTokens: room,
        artifactBytes: weightsBytes,
        wireBytes: weightsBytes,
        previousArtifactBytes: 0,
      });
      if (!result.ok) throw new Error(`${family}, ${name}: ${result.message}`);
      return result.prediction;
    };
    const add = (
      quantity: Comparison["quantity"],
      promptTokens: number,
      prediction: Comparison["prediction"],
      runs: Comparison["runs"],
    ) => comparisons.push({ family, budget, variant: name, real, quantity, promptTokens, prediction, runs });
    first.points.forEach((point, index) => {
      const again = second.points[index];
      if (again === undefined) return;
      const { tpotMs, ttftMs } = predict(point.promptTokens, point.outputTokens);
      const run = (value: number, p90: number, { repetitions }: typeof point): Run => ({
        value,
        requests: repetitions,
        p90,
      });
      add("time per output token", point.promptTokens, tpotMs, [
        run(point.tpotMs, point.tpotP90Ms, point),
        run(again.tpotMs, again.tpotP90Ms, again),
      ]);
      add("time to first token", point.promptTokens, ttftMs, [
        run(point.ttftMs, point.ttftP90Ms, point),
        run(again.ttftMs, again.ttftP90Ms, again),
      ]);
    });
    const longest = Math.max(...first.points.map(({ promptTokens }) => promptTokens));
    // These processes have no tokenizer, whose memory a prediction counts.
    const memory = predict(longest, 16).peakMemoryBytes;
    const withoutTokenizer = { ...memory, value: memory.value - tokenizerBytes(features) };
    const run = ({ peakBytes }: VariantRow): Run => ({ value: peakBytes, requests: 1, p90: null });
    add("peak memory", longest, withoutTokenizer, [run(first), run(second)]);
  }
  return comparisons;
}

function measurementsOf(timings: KitRow["timings"]): Measurements {
  return {
    memoryBandwidthBytesPerSecond: null,
    diskWriteBytesPerSecond: null,
    downloadBytesPerSecond: null,
    kit: { kitDigest: `sha256:${"0".repeat(64)}`, timings },
    baseMemoryBytes: null,
    variants: [],
  };
}
