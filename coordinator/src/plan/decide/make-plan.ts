import type { ClassCorrection } from "@espalier/shared/contracts/correction";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { Kit } from "@espalier/shared/contracts/kit";
import type { Plan, PlannedVariant } from "@espalier/shared/contracts/plan";
import type { DeviceProfile } from "@espalier/shared/contracts/profile";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { alternatives, type Kind } from "./alternatives.ts";
import { type Assessment, assessFleet, contextOf, upperEnd } from "./assess.ts";
import { type Candidate, compareCandidates, floorBreaches, klUpperBound } from "./candidate.ts";
import { limitNames } from "./device-limits.ts";
import { chooseFallbacks, type Fallbacks } from "./fallbacks.ts";
import { fleetCost } from "./fleet-cost.ts";
import { planDevice } from "./plan-device.ts";
import { bestFeasible, choosePortfolio, type DemandGroup, type Portfolio } from "./portfolio.ts";
import { countDevices } from "./reason.ts";

export interface PlanDevice {
  deviceId: string;
  name: string;
  labels: Readonly<Record<string, string>>;
  /** Null for a device that could not be measured; `missing` says why. */
  profile: DeviceProfile | null;
  missing: string;
  /** What it runs now and would keep for rollback. */
  active: { artifactDigest: Digest; variantName: string; totalBytes: number } | null;
}

export interface PlanRequest {
  spec: Pick<
    RolloutSpec,
    "limits" | "overrides" | "promptTokens" | "outputTokens" | "qualityFloor" | "maxVariants" | "buildFallbacks"
  >;
  modelDigest: Digest;
  modelName: string;
  kit: Kit;
  candidates: readonly Candidate[];
  devices: readonly PlanDevice[];
  /** Tokens that an agent's KV cache has room for. */
  contextTokens: number;
  /** Bytes of an artifact besides its weights (graph, tokenizer, probe), while it is not built. */
  companionBytes: number;
  /** What a build of this model typically took; null before the first. */
  buildSeconds: number | null;
  /** How predictions are corrected by what devices measured before. */
  corrections: readonly ClassCorrection[];
  /** Names the state that all this was read from. */
  checkIndex: string;
}

/**
 * Fits every device: the best quality whose predicted upper ends keep all limits, within a portfolio of at most
 * `spec.maxVariants`. Pure and deterministic; neither the order of devices nor of candidates changes the plan.
 */
export function makePlan(request: PlanRequest): Plan {
  const { maxVariants, buildFallbacks } = request.spec;
  const ranked = [...request.candidates].sort(compareCandidates);
  const aboveFloor = ranked.filter((c) => floorBreaches(c, request.spec.qualityFloor).length === 0);
  const context = contextOf(request, aboveFloor);
  const assessments = assessFleet([...request.devices].sort(byId), context);
  const kinds = kindsOf(assessments);
  const losses = aboveFloor.map(({ quality }) => klUpperBound(quality));
  const weightBytes = aboveFloor.map(({ shape }) => shape.weightBytes);
  const choose = (feasible: readonly (readonly number[])[], atMost: number): Portfolio =>
    choosePortfolio({ losses, weightBytes, groups: demandGroups(kinds, feasible), maxVariants: atMost });
  const portfolio = choose(
    kinds.map(({ options }) => options.feasible),
    maxVariants,
  );
  const choices = kinds.map(({ options }) => bestFeasible(portfolio.chosen, options.feasible));
  const fallbacks: Fallbacks = buildFallbacks
    ? chooseFallbacks(assessments, choices, portfolio.chosen, context, maxVariants)
    : { chosen: [], without: 0 };
  const toBuild = new Set([...portfolio.chosen, ...fallbacks.chosen.map(({ candidate }) => candidate)]);
  const isReady = (index: number) => toBuild.has(index) || aboveFloor[index]?.artifact !== null;
  const devicesOf = new Map<Candidate | undefined, number>();
  for (const [kind, { devices }] of kinds.entries()) {
    const candidate = aboveFloor[choices[kind] ?? -1];
    devicesOf.set(candidate, (devicesOf.get(candidate) ?? 0) + devices);
  }
  const frontier = ranked.map((candidate) => toVariant(candidate, devicesOf.get(candidate) ?? 0));
  const rows = writtenOnce(() => assessments.map((one) => planDevice(one, context, portfolio, isReady, maxVariants)));
  return {
    schemaVersion: 1,
    modelDigest: request.modelDigest,
    modelName: request.modelName,
    checkIndex: request.checkIndex,
    variants: frontier.filter((variant) => variant.devices > 0),
    fallbacks: fallbacks.chosen.flatMap(({ candidate, neededBy, text }) => {
      const chosen = aboveFloor[candidate];
      return chosen === undefined ? [] : [{ ...toVariant(chosen, 0), neededBy, text }];
    }),
    // Every device is decided; its row, figures and reasons, is written when it is asked for.
    get devices() {
      return rows();
    },
    corrections: correctionsAmong(request.corrections, assessments),
    alternatives: alternatives(kinds, limitedBy(assessments), aboveFloor, portfolio, maxVariants, choose),
    cost: fleetCost(assessments, choices, toBuild, context, request.buildSeconds),
    frontier,
    notes: [
      ...notes(portfolio, ranked, aboveFloor),
      ...unknownEnergy(assessments, choices),
      ...withoutFallback(fallbacks),
    ],
  };
}

/** What `make` gives, made when it is first asked for. */
function writtenOnce<Value>(make: () => Value): () => Value {
  let made: { value: Value } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function toVariant(candidate: Candidate, devices: number): PlannedVariant {
  const { recipe, recipeDigest, name, quality, qualitySource, artifact, shape } = candidate;
  const artifactDigest = artifact?.digest ?? null;
  return {
    recipe,
    recipeDigest,
    name,
    quality,
    qualitySource,
    artifactDigest,
    weightBytes: shape.weightBytes,
    devices,
  };
}

function correctionsAmong(
  corrections: readonly ClassCorrection[],
  assessments: readonly Assessment[],
): ClassCorrection[] {
  const present = new Set(assessments.map(({ hardwareClass }) => hardwareClass));
  return corrections.filter(({ hardwareClass }) => present.has(hardwareClass));
}

/** In the order of first appearance. */
function kindsOf(assessments: readonly Assessment[]): Kind[] {
  const kinds: Kind[] = [];
  for (const { options } of assessments) {
    const kind = kinds[options.id];
    if (kind === undefined) kinds[options.id] = { options, devices: 1 };
    else kind.devices++;
  }
  return kinds;
}

function limitedBy(assessments: readonly Assessment[]): boolean[] {
  const limited = limitNames.map(() => false);
  for (const {
    limits: { bounds },
  } of assessments) {
    for (let limit = 0; limit < bounds.length; limit++) if (bounds[limit] !== undefined) limited[limit] = true;
  }
  return limited;
}

/** Kinds that may run the same candidates count together, in an order that doesn't depend on the devices'. */
function demandGroups(kinds: readonly Kind[], feasible: readonly (readonly number[])[]): DemandGroup[] {
  const groups = new Map<string, DemandGroup>();
  kinds.forEach(({ devices }, kind) => {
    const options = feasible[kind] ?? [];
    if (options.length === 0) return;
    const key = options.join();
    groups.set(key, { feasible: options, devices: devices + (groups.get(key)?.devices ?? 0) });
  });
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
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

/** A limit that can't be held against a device must not look kept. */
function unknownEnergy(assessments: readonly Assessment[], choices: readonly (number | undefined)[]): string[] {
  const unknown = assessments.filter((assessment) => {
    const choice = choices[assessment.options.id];
    if (choice === undefined || assessment.limits.limits.joulesPerToken === undefined) return false;
    return Number.isNaN(upperEnd(assessment, choice, "joulesPerToken"));
  }).length;
  if (unknown === 0) return [];
  return [`The limit on energy per token says nothing of ${countDevices(unknown)} without a readable energy counter.`];
}

function withoutFallback({ without }: Fallbacks): string[] {
  if (without === 0) return [];
  return [
    `Nothing to step down to for ${countDevices(without)}: no variant that may be used takes clearly less memory.`,
  ];
}

function byId(a: PlanDevice, b: PlanDevice): number {
  return a.deviceId < b.deviceId ? -1 : a.deviceId > b.deviceId ? 1 : 0;
}
