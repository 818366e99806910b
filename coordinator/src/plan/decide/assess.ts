import type { ClassCorrection } from "@espalier/shared/contracts/correction";
import type { Kit } from "@espalier/shared/contracts/kit";
import type { DeviceProfile } from "@espalier/shared/contracts/profile";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { type CorrectionFactors, factorsFor } from "../../predict/decide/corrections.ts";
import { createFitter, type DeviceModel } from "../../predict/decide/device-model.ts";
import { prepareKit } from "../../predict/decide/kit-designs.ts";
import { type RequestLengths, requestLengths } from "../../predict/decide/length-weights.ts";
import { type Match, matchVariant, type PredictionVariant, type Refusal } from "../../predict/decide/match-variant.ts";
import { measuredPower } from "../../predict/decide/measured-power.ts";
import { type PredictionDevice, predictionWidth, writePrediction } from "../../predict/decide/predict-variant.ts";
import { featuresOf } from "../../predict/decide/shape-features.ts";
import { sustainedSlowdown } from "../../predict/decide/sustained.ts";
import type { Candidate } from "./candidate.ts";
import { createClassifier } from "./device-class.ts";
import {
  compileObjectives,
  createBounds,
  type LimitBounds,
  limitIndex,
  type limitNames,
  noBounds,
} from "./device-limits.ts";
import type { PlanDevice } from "./make-plan.ts";
import { createOptions, feasible, feasibleWith, infeasible, type Options, stepOf } from "./options.ts";

/** What a fleet's assessments have in common. */
export interface AssessContext {
  boundsOf: ReturnType<typeof createBounds>;
  /** A model holds until the next device is fitted. */
  fit: ReturnType<typeof createFitter>;
  /** Above the quality floor, best first; indices elsewhere are into it. */
  candidates: readonly Candidate[];
  variants: readonly PredictionVariant[];
  /** The variants beside the costs of devices that were timed alike. */
  matchesOf(model: DeviceModel): readonly Match[];
  lengths: RequestLengths;
  classify: ReturnType<typeof createClassifier>;
  factorsOf(hardwareClass: string): CorrectionFactors;
}

/** What is known of one device before the portfolio is chosen. */
export interface Assessment {
  device: PlanDevice;
  /** Empty where it isn't measured. */
  hardwareClass: string;
  limits: LimitBounds;
  /** The fleet's predictions, and where this device's begin: candidate i's at `at + i * predictionWidth`; NaN where refused. */
  predictions: Float64Array;
  at: number;
  options: Options;
}

export function contextOf(
  request: {
    spec: Pick<RolloutSpec, "limits" | "overrides" | "promptTokens" | "outputTokens">;
    kit: Kit;
    /** Tokens that an agent's KV cache has room for. */
    contextTokens: number;
    /** Bytes of an artifact besides its weights, while it is not built. */
    companionBytes: number;
    corrections: readonly ClassCorrection[];
  },
  candidates: readonly Candidate[],
): AssessContext {
  const { spec, kit, contextTokens, companionBytes, corrections } = request;
  const factors = new Map(corrections.map((c) => [c.hardwareClass, factorsFor(corrections, c.hardwareClass)]));
  const uncorrected = factorsFor([], "");
  const matches = new Map<DeviceModel, readonly Match[]>();
  const variants = candidates.map(({ artifact, shape }): PredictionVariant => {
    const artifactBytes = artifact?.totalBytes ?? shape.weightBytes + companionBytes;
    return {
      shape: featuresOf(shape),
      contextTokens: Math.min(contextTokens, shape.contextLength),
      artifactBytes,
      // How far what isn't built yet will pack, nobody knows.
      wireBytes: artifact?.wireBytes ?? artifactBytes,
    };
  });
  return {
    boundsOf: createBounds(compileObjectives(spec)),
    fit: createFitter(prepareKit(kit)),
    candidates,
    variants,
    matchesOf(model) {
      let known = matches.get(model);
      if (known === undefined) {
        known = variants.map((variant) => matchVariant(variant, model));
        matches.set(model, known);
      }
      return known;
    },
    lengths: requestLengths(spec),
    classify: createClassifier(),
    factorsOf: (hardwareClass) => factors.get(hardwareClass) ?? uncorrected,
  };
}

/** Predicts every candidate on every device. Numbers of the whole fleet lie in one array, since a fleet has many. */
export function assessFleet(devices: readonly PlanDevice[], context: AssessContext): Assessment[] {
  const width = context.candidates.length * predictionWidth;
  // Shared memory doesn't count for V8's collector, which a fleet's numbers would make walk through the whole heap.
  const predictions = new Float64Array(new SharedArrayBuffer(devices.length * width * Float64Array.BYTES_PER_ELEMENT));
  const optionsOf = createOptions();
  const codes = new Uint8Array(context.candidates.length);
  return devices.map((device, index): Assessment => {
    const at = index * width;
    const { profile } = device;
    if (profile === null) {
      predictions.fill(Number.NaN, at, at + width);
      return {
        device,
        hardwareClass: "",
        limits: noBounds,
        predictions,
        at,
        options: optionsOf(codes.fill(infeasible)),
      };
    }
    const limits = context.boundsOf(device.labels, profile.budget);
    const { allowed, limited } = limits;
    const { hardwareClass } = context.classify(profile);
    const side = predictionDevice(profile, hardwareClass, context);
    const matches = context.matchesOf(side.model);
    for (let candidate = 0; candidate < context.variants.length; candidate++) {
      const begin = at + candidate * predictionWidth;
      codes[candidate] = infeasible;
      if (predict(device, side, matches, candidate, context, predictions, begin) !== null) {
        predictions.fill(Number.NaN, begin, begin + predictionWidth);
        continue;
      }
      let broken = -1;
      let count = 0;
      for (let n = 0; n < limited.length; n++) {
        const limit = limited[n] ?? 0;
        // What isn't known breaks no limit.
        if (!(upperAt(predictions, begin, limit) > (allowed[limit] ?? Infinity))) continue;
        broken = limit;
        count++;
      }
      if (count === 0) codes[candidate] = feasible;
      if (count !== 1) continue;
      const step = stepOf(upperAt(predictions, begin, broken), allowed[broken] ?? Infinity);
      if (step !== null) codes[candidate] = feasibleWith(broken, step);
    }
    return { device, hardwareClass, limits, predictions, at, options: optionsOf(codes) };
  });
}

/** Why a candidate can't be predicted on a device; null when it can. */
export function refusalOf(
  device: PlanDevice,
  profile: DeviceProfile,
  candidate: number,
  context: AssessContext,
): Refusal | null {
  const numbers = new Float64Array(predictionWidth);
  const side = predictionDevice(profile, context.classify(profile).hardwareClass, context);
  return predict(device, side, context.matchesOf(side.model), candidate, context, numbers, 0);
}

function predictionDevice(
  { measurements, budget }: DeviceProfile,
  hardwareClass: string,
  { fit, factorsOf }: AssessContext,
): PredictionDevice {
  const corrected = factorsOf(hardwareClass);
  const slowdown = sustainedSlowdown(measurements);
  const { tpotMs, ttftMs, peakMemoryBytes } = corrected;
  const factors =
    slowdown === 1 ? corrected : { tpotMs: tpotMs * slowdown, ttftMs: ttftMs * slowdown, peakMemoryBytes };
  const power = measuredPower(measurements);
  return { model: fit(measurements), measurements, cpuQuota: budget.cpuQuota, factors, power };
}

function predict(
  device: PlanDevice,
  side: PredictionDevice,
  matches: readonly Match[],
  index: number,
  { candidates, lengths }: AssessContext,
  into: Float64Array,
  at: number,
): Refusal | null {
  const [candidate, match] = [candidates[index], matches[index]];
  if (candidate === undefined || match === undefined) throw new RangeError(`there is no candidate ${index}`);
  const previousBytes = runs(device, candidate) ? 0 : (device.active?.totalBytes ?? 0);
  return writePrediction(side, match, lengths, previousBytes, into, at);
}

/** What a device that holds nothing of a candidate downloads, at most. */
export function wireBytes({ variants }: AssessContext, candidate: number): number {
  return variants[candidate]?.wireBytes ?? 0;
}

export function runs(device: PlanDevice, { artifact }: Candidate): boolean {
  return artifact !== null && device.active?.artifactDigest === artifact.digest;
}

/** Upper end of a candidate's prediction for a limit; NaN where it can't be predicted, or its rate of downloads or its power is unknown. */
export function upperEnd(
  { predictions, at }: Pick<Assessment, "predictions" | "at">,
  candidate: number,
  limit: (typeof limitNames)[number],
): number {
  return upperAt(predictions, at + candidate * predictionWidth, limitIndex[limit]);
}

/** The predicted value itself; NaN as in `upperEnd`. */
export function expected(
  { predictions, at }: Pick<Assessment, "predictions" | "at">,
  candidate: number,
  limit: (typeof limitNames)[number],
): number {
  return predictions[at + candidate * predictionWidth + 2 * limitIndex[limit]] ?? Number.NaN;
}

/** Predictions come in the order of the limits. */
function upperAt(predictions: Float64Array, begin: number, limit: number): number {
  const value = predictions[begin + 2 * limit] ?? Number.NaN;
  return value * (1 + (predictions[begin + 2 * limit + 1] ?? Number.NaN));
}
