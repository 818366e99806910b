import assert from "node:assert/strict";
import type { Kit } from "@espalier/shared/contracts/kit";
import type { Measurements } from "@espalier/shared/contracts/profile";
import type { VariantShape } from "@espalier/shared/contracts/shape";
import { factorsFor } from "../decide/corrections.ts";
import { fitDevice } from "../decide/device-model.ts";
import { prepareKit } from "../decide/kit-designs.ts";
import { requestLengths } from "../decide/length-weights.ts";
import { measuredPower } from "../decide/measured-power.ts";
import { type PredictionRequest, predictVariant } from "../decide/predict-variant.ts";
import { featuresOf } from "../decide/shape-features.ts";
import { formats, shapeOf, syntheticKit, syntheticProfile } from "./synthetic-device.ts";

/** What a test may ask otherwise; the rest is a synthetic device, and a variant of SmolLM2's size. */
export interface Asked extends Partial<Pick<PredictionRequest, "cpuQuota" | "factors" | "previousArtifactBytes">> {
  kit?: Kit;
  measurements?: Measurements;
  shape?: VariantShape;
  promptTokens?: number;
}

export const kit = syntheticKit();
export const { measurements } = syntheticProfile({ deviceId: "d", kit });

export function requestFor({ promptTokens = 64, ...asked }: Asked = {}): PredictionRequest {
  const measured = asked.measurements ?? measurements;
  return {
    model: fitDevice(prepareKit(asked.kit ?? kit), measured),
    lengths: requestLengths({ promptTokens, outputTokens: 24 }),
    measurements: measured,
    cpuQuota: asked.cpuQuota ?? null,
    factors: asked.factors ?? factorsFor([], ""),
    power: measuredPower(measured),
    shape: featuresOf(asked.shape ?? shapeOf(formats.q8b128, 30, 1536)),
    contextTokens: 2048,
    artifactBytes: 150e6,
    wireBytes: 130e6,
    previousArtifactBytes: asked.previousArtifactBytes ?? 0,
  };
}

export function predict(overrides: Asked = {}) {
  const result = predictVariant(requestFor(overrides));
  assert.ok(result.ok, "the prediction was refused");
  return result.prediction;
}

/** @param tolerance relative */
export const near = (value: number, truth: number, tolerance: number) =>
  assert.ok(Math.abs(value / truth - 1) < tolerance, `${value} is not within ${tolerance} of ${truth}`);
