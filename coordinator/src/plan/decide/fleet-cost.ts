import type { PlanCost, PlannedDevice } from "@espalier/shared/contracts/plan";
import { type AssessContext, type Assessment, artifactBytes, runs, upperEnd } from "./assess.ts";
import type { Candidate } from "./candidate.ts";

/**
 * What a plan costs beside shipping the best unpruned candidate to every device.
 * @param planned in the order of `assessments`
 */
export function fleetCost(
  assessments: readonly Assessment[],
  planned: readonly PlannedDevice[],
  context: AssessContext,
  buildSeconds: number | null,
): PlanCost {
  const { candidates } = context;
  const chosen = new Set(planned.flatMap(({ choice }) => (choice === null ? [] : [choice.recipeDigest])));
  const seconds = planned.map(({ choice, downloadBytes }) =>
    downloadBytes === 0 ? null : (choice?.prediction.downloadSeconds?.value ?? null),
  );
  return {
    variantsToBuild: candidates
      .filter((c) => chosen.has(c.recipeDigest) && c.artifact === null)
      .map(({ name }) => name),
    buildSeconds,
    downloadBytes: planned.reduce((sum, { downloadBytes }) => sum + downloadBytes, 0),
    longestDownloadSeconds: seconds.reduce((longest, s) => (s === null ? longest : Math.max(longest ?? 0, s)), null),
    dense: denseCost(assessments, planned, context),
  };
}

function denseCost(
  assessments: readonly Assessment[],
  planned: readonly PlannedDevice[],
  context: AssessContext,
): PlanCost["dense"] {
  const index = context.candidates.findIndex(({ recipe }) => recipe.pruning.method === "none");
  const dense: Candidate | undefined = context.candidates[index];
  if (dense === undefined) return null;
  const total = { plan: { tpotMs: 0, bytes: 0 }, dense: { tpotMs: 0, bytes: 0 }, compared: 0, downloadBytes: 0 };
  const energy = { compared: 0, plan: 0, dense: 0 };
  const indices = new Map(context.candidates.map(({ recipeDigest }, at) => [recipeDigest, at]));
  assessments.forEach((assessment, at) => {
    const choice = planned[at]?.choice;
    const chosen = choice ? indices.get(choice.recipeDigest) : undefined;
    if (chosen === undefined) return;
    if (!runs(assessment.device, dense)) total.downloadBytes += artifactBytes(context, index);
    if (Number.isNaN(upperEnd(assessment, index, "tpotP90Ms"))) return;
    total.compared++;
    total.plan.tpotMs += upperEnd(assessment, chosen, "tpotP90Ms");
    total.plan.bytes += upperEnd(assessment, chosen, "peakMemoryBytes");
    total.dense.tpotMs += upperEnd(assessment, index, "tpotP90Ms");
    total.dense.bytes += upperEnd(assessment, index, "peakMemoryBytes");
    const [planJ, denseJ] = [chosen, index].map((candidate) => upperEnd(assessment, candidate, "joulesPerToken"));
    if (planJ === undefined || denseJ === undefined || Number.isNaN(planJ + denseJ)) return;
    energy.compared++;
    energy.plan += planJ;
    energy.dense += denseJ;
  });
  const mean = (sum: number) => (total.compared === 0 ? 0 : sum / total.compared);
  return {
    variantName: dense.name,
    fits: assessments.filter(({ options }) => options.feasible.includes(index)).length,
    downloadBytes: total.downloadBytes,
    compared: total.compared,
    tpotP90Ms: { plan: mean(total.plan.tpotMs), dense: mean(total.dense.tpotMs) },
    peakMemoryBytes: { plan: mean(total.plan.bytes), dense: mean(total.dense.bytes) },
    joulesPerToken:
      energy.compared === 0
        ? null
        : { ...energy, plan: energy.plan / energy.compared, dense: energy.dense / energy.compared },
  };
}
