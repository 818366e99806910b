import type { Digest } from "@espalier/shared/contracts/digest";
import type { Kit } from "@espalier/shared/contracts/kit";
import type {
  Plan,
  PlannedDevice,
  PlannedVariant,
  VariantPrediction,
  Violation,
} from "@espalier/shared/contracts/plan";
import type { DeviceProfile } from "@espalier/shared/contracts/profile";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { fitDevice } from "../../predict/decide/device-model.ts";
import { predictVariant } from "../../predict/decide/predict-variant.ts";
import { type Candidate, compareCandidates, floorBreaches, klUpperBound } from "./candidate.ts";
import { deviceClass } from "./device-class.ts";
import { type EffectiveLimit, effectiveLimits, strictestLimits, violations } from "./device-limits.ts";
import { bestFeasible, choosePortfolio, type DemandGroup, type Portfolio } from "./portfolio.ts";
import { explainLack, explainQuality, explainViolation } from "./reason.ts";

export interface PlanDevice {
  deviceId: string;
  name: string;
  labels: Readonly<Record<string, string>>;
  /** Null for a device that could not be measured; `missing` says why. */
  profile: DeviceProfile | null;
  missing: string;
  /** What it runs now and would keep for rollback. */
  active: { artifactDigest: Digest; totalBytes: number } | null;
}

export interface PlanRequest {
  spec: Pick<RolloutSpec, "limits" | "overrides" | "promptTokens" | "outputTokens" | "qualityFloor" | "maxVariants">;
  modelDigest: Digest;
  modelName: string;
  kit: Kit;
  candidates: readonly Candidate[];
  devices: readonly PlanDevice[];
  /** Tokens that an agent's KV cache has room for. */
  contextTokens: number;
  /** Bytes of an artifact besides its weights (graph, tokenizer, probe), while it is not built. */
  companionBytes: number;
}

/** What is known of one device before the portfolio is chosen. Indices are into the candidates, best first. */
interface Assessment {
  device: PlanDevice;
  limits: readonly EffectiveLimit[];
  predictions: ReadonlyMap<number, VariantPrediction>;
  ruledOut: ReadonlyMap<number, readonly Violation[]>;
  problems: ReadonlyMap<number, string>;
  feasible: readonly number[];
}

/**
 * Fits every device: the best quality whose predicted upper ends keep all limits, within a portfolio of at most
 * `spec.maxVariants`. Pure and deterministic; neither the order of devices nor of candidates changes the plan.
 */
export function makePlan(request: PlanRequest): Plan {
  const ranked = [...request.candidates].sort(compareCandidates);
  const aboveFloor = ranked.filter((c) => floorBreaches(c.quality, c.dense, request.spec.qualityFloor).length === 0);
  const devices = [...request.devices].sort(byId);
  const assessments = devices.map((device) => assess(device, aboveFloor, request));
  const portfolio = choosePortfolio({
    losses: aboveFloor.map(({ quality }) => klUpperBound(quality)),
    weightBytes: aboveFloor.map(({ shape }) => shape.weightBytes),
    groups: demandGroups(assessments),
    maxVariants: request.spec.maxVariants,
  });
  const planned = assessments.map((assessment) =>
    planDevice(assessment, aboveFloor, portfolio, request.spec.maxVariants),
  );
  const toVariant = (candidate: Candidate): PlannedVariant => ({
    recipe: candidate.recipe,
    recipeDigest: candidate.recipeDigest,
    name: candidate.name,
    quality: candidate.quality,
    qualitySource: candidate.qualitySource,
    artifactDigest: candidate.artifact?.digest ?? null,
    weightBytes: candidate.shape.weightBytes,
    devices: planned.filter(({ choice }) => choice?.recipeDigest === candidate.recipeDigest).length,
  });
  const frontier = ranked.map(toVariant);
  return {
    schemaVersion: 1,
    modelDigest: request.modelDigest,
    modelName: request.modelName,
    variants: frontier.filter((variant) => variant.devices > 0),
    devices: planned,
    frontier,
    notes: notes(portfolio, ranked, aboveFloor),
  };
}

function assess(device: PlanDevice, candidates: readonly Candidate[], request: PlanRequest): Assessment {
  const predictions = new Map<number, VariantPrediction>();
  const ruledOut = new Map<number, readonly Violation[]>();
  const problems = new Map<number, string>();
  const feasible: number[] = [];
  const { profile } = device;
  if (profile === null) return { device, limits: [], predictions, ruledOut, problems, feasible };
  const limits = effectiveLimits(request.spec, device.labels, profile.budget);
  const formats = fitDevice(request.kit, profile.measurements);
  candidates.forEach((candidate, index) => {
    const kept = device.active?.artifactDigest === candidate.artifact?.digest ? 0 : (device.active?.totalBytes ?? 0);
    const result = predictVariant({
      formats,
      measurements: profile.measurements,
      cpuQuota: profile.budget.cpuQuota,
      shape: candidate.shape,
      promptTokens: request.spec.promptTokens,
      outputTokens: request.spec.outputTokens,
      contextTokens: Math.min(request.contextTokens, candidate.shape.contextLength),
      artifactBytes: candidate.artifact?.totalBytes ?? candidate.shape.weightBytes + request.companionBytes,
      previousArtifactBytes: kept,
    });
    if (!result.ok) {
      problems.set(index, result.message);
      return;
    }
    predictions.set(index, result.prediction);
    const broken = violations(result.prediction, limits);
    if (broken.length === 0) feasible.push(index);
    else ruledOut.set(index, broken);
  });
  return { device, limits, predictions, ruledOut, problems, feasible };
}

function demandGroups(assessments: readonly Assessment[]): DemandGroup[] {
  const groups = new Map<string, DemandGroup>();
  for (const { feasible } of assessments) {
    if (feasible.length === 0) continue;
    const key = feasible.join(",");
    groups.set(key, { feasible, devices: (groups.get(key)?.devices ?? 0) + 1 });
  }
  return [...groups.values()].sort((a, b) => a.feasible.join(",").localeCompare(b.feasible.join(","), "en"));
}

function planDevice(
  assessment: Assessment,
  candidates: readonly Candidate[],
  portfolio: Portfolio,
  maxVariants: number,
): PlannedDevice {
  const { device, limits, predictions, ruledOut, feasible } = assessment;
  const index = bestFeasible(portfolio.chosen, feasible);
  const candidate = index === undefined ? undefined : candidates[index];
  const prediction = index === undefined ? undefined : predictions.get(index);
  const better = [...ruledOut]
    .filter(([other]) => index === undefined || other < index)
    .flatMap(([other, broken]) => {
      const name = candidates[other]?.name;
      return name === undefined ? [] : [{ index: other, variantName: name, violations: [...broken] }];
    });
  return {
    deviceId: device.deviceId,
    name: device.name,
    deviceClass: device.profile === null ? "unmeasured" : deviceClass(device.profile),
    limits: strictestLimits(limits),
    choice:
      candidate === undefined || prediction === undefined
        ? null
        : { recipeDigest: candidate.recipeDigest, variantName: candidate.name, prediction },
    reason:
      candidate === undefined
        ? explainNone(assessment, candidates, better, maxVariants)
        : explainChoice(candidate, index ?? 0, assessment, candidates, better, maxVariants),
    ruledOut: better.map(({ variantName, violations: broken }) => ({ variantName, violations: broken })),
  };
}

type RuledOut = { index: number; variantName: string; violations: Violation[] };

function explainChoice(
  candidate: Candidate,
  index: number,
  { feasible, problems }: Assessment,
  candidates: readonly Candidate[],
  better: readonly RuledOut[],
  maxVariants: number,
): string {
  const quality = `${candidate.name}: ${explainQuality(candidate)}`;
  if (index === 0) return `${quality}, the best of all candidates, and it keeps every limit.`;
  const next = index - 1;
  const name = candidates[next]?.name ?? "";
  const broken = better.find((other) => other.index === next)?.violations[0];
  if (broken !== undefined) return `${quality}; the next better, ${explainViolation(name, broken)}.`;
  if (feasible.includes(next))
    return `${quality}; the next better, ${name}, fits but is not among the ${maxVariants} variants that serve the fleet best.`;
  return `${quality}; the next better, ${name}, can't be predicted: ${problems.get(next) ?? "not measured"}.`;
}

function explainNone(
  { device, feasible, problems }: Assessment,
  candidates: readonly Candidate[],
  better: readonly RuledOut[],
  maxVariants: number,
): string {
  if (device.profile === null) return `Not planned: ${device.missing}.`;
  if (candidates.length === 0) return "No variant is above the quality floor.";
  const fits = feasible[0];
  if (fits !== undefined) {
    return `Only ${candidates[fits]?.name ?? "a variant"} or lesser ones fit, and none is among the ${maxVariants} variants that serve the fleet best.`;
  }
  const excess = ({ violations: broken }: RuledOut) => Math.max(...broken.map((v) => v.predicted / v.allowed));
  const nearest = [...better].sort((a, b) => excess(a) - excess(b) || a.index - b.index)[0];
  if (nearest !== undefined) return explainLack(nearest.variantName, nearest.violations);
  return `Nothing can be predicted: ${[...problems.values()][0] ?? "no candidate was measured"}.`;
}

function notes(portfolio: Portfolio, ranked: readonly Candidate[], aboveFloor: readonly Candidate[]): string[] {
  const all: string[] = [];
  const below = ranked.filter((candidate) => !aboveFloor.includes(candidate)).map(({ name }) => name);
  if (below.length > 0) all.push(`Below the quality floor: ${below.join(", ")}.`);
  if (portfolio.gap > 0) {
    all.push(
      `The search for the best portfolio was cut short; a better one would save at most ${portfolio.gap.toPrecision(3)} of KL in total over the fleet.`,
    );
  }
  const sources = new Set(ranked.map(({ qualitySource }) => qualitySource));
  if (sources.size > 1) {
    all.push(
      "Quality comes from reports of built variants where there are any, else from the sensitivity job; the two use different text lengths and runtimes.",
    );
  }
  return all;
}

function byId(a: PlanDevice, b: PlanDevice): number {
  return a.deviceId < b.deviceId ? -1 : a.deviceId > b.deviceId ? 1 : 0;
}
