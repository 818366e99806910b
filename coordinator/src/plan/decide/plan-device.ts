import type { PlannedDevice } from "@espalier/shared/contracts/plan";
import { predictionWidth, readPrediction } from "../../predict/decide/predict-variant.ts";
import { type AssessContext, type Assessment, refusalOf, runs, upperEnd, wireBytes } from "./assess.ts";
import type { Candidate } from "./candidate.ts";
import { violations } from "./device-limits.ts";
import { isStepDown } from "./fallbacks.ts";
import { bestFeasible, type Portfolio } from "./portfolio.ts";
import { explainLack, explainQuality, explainViolation } from "./reason.ts";

/** Steps of a device's ladder at most: a fallback of a fallback of a fallback is hardly ever reached. */
const longestLadder = 3;

type RuledOut = PlannedDevice["ruledOut"][number];

/** What one device gets out of the portfolio, why, and what it would step down to. */
export function planDevice(
  assessment: Assessment,
  context: AssessContext,
  portfolio: Portfolio,
  isReady: (candidate: number) => boolean,
  maxVariants: number,
): PlannedDevice {
  const { device, limits, options } = assessment;
  const { candidates } = context;
  const { profile } = device;
  const index = bestFeasible(portfolio.chosen, options.feasible);
  const candidate = index === undefined ? undefined : candidates[index];
  const better = betterRuledOut(assessment, candidates, index ?? candidates.length);
  const planned = {
    deviceId: device.deviceId,
    name: device.name,
    ...(profile === null ? { deviceClass: "unmeasured", hardwareClass: "" } : context.classify(profile)),
    limits: limits.limits,
    active:
      device.active === null
        ? null
        : { artifactDigest: device.active.artifactDigest, variantName: device.active.variantName },
    ruledOut: better,
  };
  if (index === undefined || candidate === undefined || profile === null) {
    const reason = explainNone(assessment, context, better, maxVariants);
    return { ...planned, choice: null, downloadBytes: 0, ladder: [], reason };
  }
  const prediction = readPrediction(assessment.predictions, assessment.at + index * predictionWidth);
  return {
    ...planned,
    choice: { recipeDigest: candidate.recipeDigest, variantName: candidate.name, prediction },
    downloadBytes: runs(device, candidate) ? 0 : wireBytes(context, index),
    ladder: ladder(assessment, candidates, index, isReady),
    reason: explainChoice(candidate, index, assessment, context, better, maxVariants),
  };
}

/** What the device steps down to when its variant fails in practice, best quality first, each a step down from the one before. */
function ladder(
  assessment: Assessment,
  candidates: readonly Candidate[],
  from: number,
  isReady: (candidate: number) => boolean,
): PlannedDevice["ladder"] {
  const steps: PlannedDevice["ladder"] = [];
  let last = from;
  for (const index of assessment.options.feasible) {
    const candidate = candidates[index];
    if (candidate === undefined || !isReady(index) || !isStepDown(assessment, last, index)) continue;
    steps.push({
      recipeDigest: candidate.recipeDigest,
      variantName: candidate.name,
      tpotP90Ms: upperEnd(assessment, index, "tpotP90Ms"),
      peakMemoryBytes: Math.round(upperEnd(assessment, index, "peakMemoryBytes")),
    });
    last = index;
    if (steps.length === longestLadder) break;
  }
  return steps;
}

function betterRuledOut(assessment: Assessment, candidates: readonly Candidate[], before: number): RuledOut[] {
  const better: RuledOut[] = [];
  for (let index = 0; index < before; index++) {
    const broken = violations(assessment.limits, (limit) => upperEnd(assessment, index, limit));
    if (broken.length > 0) better.push({ variantName: candidates[index]?.name ?? "", violations: broken });
  }
  return better;
}

function explainChoice(
  candidate: Candidate,
  index: number,
  assessment: Assessment,
  context: AssessContext,
  better: readonly RuledOut[],
  maxVariants: number,
): string {
  const quality = `${candidate.name}: ${explainQuality(candidate)}`;
  if (index === 0) return `${quality}, the best of all candidates, and it keeps every limit.`;
  const next = index - 1;
  const name = context.candidates[next]?.name ?? "";
  const last = better.at(-1);
  const broken = last?.variantName === name ? last.violations[0] : undefined;
  if (broken !== undefined) return `${quality}; the next better, ${explainViolation(name, broken)}.`;
  if (assessment.options.feasible.includes(next))
    return `${quality}; the next better, ${name}, fits but is not among the ${maxVariants} variants that serve the fleet best.`;
  return `${quality}; the next better, ${name}, can't be predicted: ${problemOf(assessment, context, next)}.`;
}

function explainNone(
  assessment: Assessment,
  context: AssessContext,
  better: readonly RuledOut[],
  maxVariants: number,
): string {
  const { device, options } = assessment;
  const { candidates } = context;
  if (device.profile === null) return `Not planned: ${device.missing}.`;
  if (candidates.length === 0) return "No variant is above the quality floor.";
  const fits = options.feasible[0];
  if (fits !== undefined) {
    return `Only ${candidates[fits]?.name ?? "a variant"} or lesser ones fit, and none is among the ${maxVariants} variants that serve the fleet best.`;
  }
  const excess = ({ violations: broken }: RuledOut) => Math.max(...broken.map((v) => v.predicted / v.allowed));
  const nearest = [...better].sort((a, b) => excess(a) - excess(b))[0];
  if (nearest !== undefined) return explainLack(nearest.variantName, nearest.violations);
  return `Nothing can be predicted: ${problemOf(assessment, context, 0)}.`;
}

function problemOf({ device }: Assessment, context: AssessContext, index: number): string {
  if (device.profile === null) return device.missing;
  return refusalOf(device, device.profile, index, context)?.message ?? "not measured";
}
