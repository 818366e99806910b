import type { Prediction } from "@espalier/shared/contracts/plan";
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
  predicted: number;
  uncertainty: number;
  measured: readonly [number, number];
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
        previousArtifactBytes: 0,
      });
      if (!result.ok) throw new Error(`${family}, ${name}: ${result.message}`);
      return result.prediction;
    };
    const add = (
      quantity: Comparison["quantity"],
      promptTokens: number,
      { value, relativeUncertainty }: Prediction,
      measured: [number, number],
    ) =>
      comparisons.push({
        ...{ family, budget, variant: name, real, quantity, promptTokens },
        ...{ predicted: value, uncertainty: relativeUncertainty, measured },
      });
    first.points.forEach((point, index) => {
      const again = second.points[index];
      if (again === undefined) return;
      const { tpotMs, ttftMs } = predict(point.promptTokens, point.outputTokens);
      add("time per output token", point.promptTokens, tpotMs, [point.tpotMs, again.tpotMs]);
      add("time to first token", point.promptTokens, ttftMs, [point.ttftMs, again.ttftMs]);
    });
    const longest = Math.max(...first.points.map(({ promptTokens }) => promptTokens));
    // These processes have no tokenizer, whose memory a prediction counts.
    const memory = predict(longest, 16).peakMemoryBytes;
    const withoutTokenizer = { ...memory, value: memory.value - tokenizerBytes(features) };
    add("peak memory", longest, withoutTokenizer, [first.peakBytes, second.peakBytes]);
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
