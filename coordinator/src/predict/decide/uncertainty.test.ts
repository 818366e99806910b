import assert from "node:assert/strict";
import { test } from "node:test";
import { upperEndOf } from "@espalier/shared/contracts/plan";
import type { KitTiming, Sample } from "@espalier/shared/contracts/profile";
import {
  formats,
  ordinaryCosts,
  shapeOf,
  syntheticKit,
  syntheticProfile,
  syntheticTimings,
  trueDecodeMs,
  truePrefillMs,
} from "../testing/synthetic-device.ts";
import { factorsFor } from "./corrections.ts";
import { fitDevice } from "./device-model.ts";
import { prepareKit } from "./kit-designs.ts";
import { requestLengths } from "./length-weights.ts";
import { predictVariant } from "./predict-variant.ts";
import { featuresOf } from "./shape-features.ts";

const kit = syntheticKit();
const prepared = prepareKit(kit);
const { measurements } = syntheticProfile({ deviceId: "d", kit });
const shape = shapeOf(formats.q4b128a, 24, 1024);
const features = featuresOf(shape);
const lengths = requestLengths({ promptTokens: 64, outputTokens: 2 });

/** Standard normal values (Box and Muller 1958) from a multiplicative congruential generator (Park and Miller 1988). */
function normal(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Devices whose runs, of the kit twice and of a variant once, scatter by `runs`, and their requests by `requests` (normal, logarithmic). */
function simulate(devices: number, { runs, requests }: { runs: number; requests: number }) {
  const random = normal(1 + Math.round(1000 * runs));
  const p90 = Math.exp(1.2816 * requests);
  const scattered = ({ decode, prefill, ...timing }: KitTiming): KitTiming => {
    const luck = Math.exp(runs * random());
    const sample = ({ median, ...ms }: Sample): Sample => ({ ...ms, median: luck * median, p90: luck * p90 * median });
    return {
      ...timing,
      decode: decode.map((point) => ({ ...point, ms: sample(point.ms) })),
      prefill: prefill.map((point) => ({ ...point, ms: sample(point.ms) })),
    };
  };
  let within = 0;
  let requestsBelow = 0;
  for (let device = 0; device < devices; device++) {
    const timings = [1, 2].flatMap(() => syntheticTimings(kit, ordinaryCosts).map(scattered));
    const measured = { ...measurements, kit: { kitDigest: measurements.kit!.kitDigest, timings } };
    const result = predictVariant({
      model: fitDevice(prepared, measured),
      lengths,
      measurements: measured,
      cpuQuota: null,
      factors: factorsFor([], ""),
      power: null,
      shape: features,
      contextTokens: 2048,
      artifactBytes: 1,
      wireBytes: 1,
      previousArtifactBytes: 0,
    });
    assert.ok(result.ok);
    const { tpotMs, ttftMs } = result.prediction;
    for (const [prediction, truth] of [
      [tpotMs, trueDecodeMs(ordinaryCosts, shape, 65)],
      [ttftMs, truePrefillMs(ordinaryCosts, shape, 64)],
    ] as const) {
      const median = truth * Math.exp(runs * random());
      if (Math.abs(median / prediction.value - 1) <= prediction.relativeUncertainty) within++;
      if (median * p90 <= upperEndOf(prediction)) requestsBelow++;
    }
  }
  return { within: within / devices / 2, requestsBelow: requestsBelow / devices / 2 };
}

for (const runs of [0.05, 0.1]) {
  test(`nine of ten runs that scatter by ${runs} lie within the stated uncertainty, nineteen of twenty p90s below the upper end`, () => {
    const { within, requestsBelow } = simulate(400, { runs, requests: 0.1 });
    assert.ok(within > 0.86 && within < 0.95, `${within}`);
    assert.ok(requestsBelow > 0.91 && requestsBelow < 0.98, `${requestsBelow}`);
  });
}
