import type { Kit } from "@espalier/shared/contracts/kit";
import type { DeviceProfile } from "@espalier/shared/contracts/profile";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { fitDevice } from "../../predict/decide/device-model.ts";
import { type PreparedKit, prepareKit } from "../../predict/decide/kit-designs.ts";
import { type RequestLengths, requestLengths } from "../../predict/decide/length-weights.ts";
import { type PredictionResult, predictVariant } from "../../predict/decide/predict-variant.ts";
import { featuresOf, type ShapeFeatures } from "../../predict/decide/shape-features.ts";
import type { Candidate } from "./candidate.ts";
import { type EffectiveLimit, effectiveLimits, limitNames, strictestBounds, upperEnds } from "./device-limits.ts";
import type { PlanDevice } from "./make-plan.ts";

/** What a fleet's assessments have in common. */
export interface AssessContext {
  spec: Pick<RolloutSpec, "limits" | "overrides" | "promptTokens" | "outputTokens">;
  kit: PreparedKit;
  /** Above the quality floor, best first; indices elsewhere are into it. */
  candidates: readonly Candidate[];
  features: readonly ShapeFeatures[];
  lengths: RequestLengths;
  contextTokens: number;
  companionBytes: number;
  /** Gives equal sets of feasible candidates as one array: a large fleet has few different ones. */
  intern(feasible: readonly number[]): readonly number[];
}

/**
 * What is known of one device before the portfolio is chosen. Only numbers are kept, since a fleet has many of them; the
 * whole prediction of a variant is made again when it is asked for.
 */
export interface Assessment {
  device: PlanDevice;
  /** The strictest bound by limit, in the order of `limitNames`. */
  bounds: readonly (EffectiveLimit | undefined)[];
  /** Upper end of candidate i's prediction for limit j at `[i * limitNames.length + j]`; NaN where there is none. */
  uppers: Float64Array;
  /** Ascending, interned. */
  feasible: readonly number[];
}

export function contextOf(
  request: Omit<AssessContext, "features" | "lengths" | "candidates" | "kit" | "intern"> & { kit: Kit },
  candidates: readonly Candidate[],
): AssessContext {
  const { spec, kit, contextTokens, companionBytes } = request;
  const features = candidates.map(({ shape }) => featuresOf(shape));
  const interned = new Map<string, readonly number[]>();
  const intern = (feasible: readonly number[]) => {
    const key = feasible.join();
    const known = interned.get(key) ?? feasible;
    interned.set(key, known);
    return known;
  };
  const lengths = requestLengths(spec);
  return { spec, kit: prepareKit(kit), candidates, features, lengths, contextTokens, companionBytes, intern };
}

export function assess(device: PlanDevice, context: AssessContext): Assessment {
  const uppers = new Float64Array(context.candidates.length * limitNames.length).fill(Number.NaN);
  const { profile } = device;
  if (profile === null) return { device, bounds: [], uppers, feasible: context.intern([]) };
  const bounds = strictestBounds(effectiveLimits(context.spec, device.labels, profile.budget));
  const predict = createPredictor(device, profile, context);
  const feasible: number[] = [];
  for (let index = 0; index < context.candidates.length; index++) {
    const result = predict(index);
    if (!result.ok) continue;
    const ends = upperEnds(result.prediction);
    uppers.set(ends, index * limitNames.length);
    if (ends.every((end, limit) => end <= (bounds[limit]?.allowed ?? Infinity))) feasible.push(index);
  }
  return { device, bounds, uppers, feasible: context.intern(feasible) };
}

/** Predictions of the candidates on one device, from a fit made once. */
export function createPredictor(
  device: PlanDevice,
  profile: DeviceProfile,
  context: AssessContext,
): (index: number) => PredictionResult {
  const { candidates, features, lengths, contextTokens } = context;
  const model = fitDevice(context.kit, profile.measurements);
  return (index) => {
    const candidate = candidates[index];
    const shape = features[index];
    if (candidate === undefined || shape === undefined) throw new RangeError(`there is no candidate ${index}`);
    return predictVariant({
      model,
      lengths,
      measurements: profile.measurements,
      cpuQuota: profile.budget.cpuQuota,
      shape,
      contextTokens: Math.min(contextTokens, candidate.shape.contextLength),
      artifactBytes: artifactBytes(candidate, context),
      previousArtifactBytes: runs(device, candidate) ? 0 : (device.active?.totalBytes ?? 0),
    });
  };
}

/** All files of a candidate's artifact, built or not. */
export function artifactBytes(
  { artifact, shape }: Candidate,
  { companionBytes }: Pick<AssessContext, "companionBytes">,
): number {
  return artifact?.totalBytes ?? shape.weightBytes + companionBytes;
}

export function runs(device: PlanDevice, { artifact }: Candidate): boolean {
  return artifact !== null && device.active?.artifactDigest === artifact.digest;
}

/** Of a candidate's prediction in the table of an assessment; NaN where it can't be predicted. */
export function upperEnd(uppers: Float64Array, candidate: number, limit: (typeof limitNames)[number]): number {
  return uppers[candidate * limitNames.length + limitNames.indexOf(limit)] ?? Number.NaN;
}
