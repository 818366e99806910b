import type { PlanCost, PlannedDevice } from "@espalier/shared/contracts/plan";
import { type AssessContext, type Assessment, artifactBytes, createPredictor, runs } from "./assess.ts";
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
  assessments.forEach(({ device }, at) => {
    const choice = planned[at]?.choice;
    if (device.profile === null || !choice) return;
    if (!runs(device, dense)) total.downloadBytes += artifactBytes(dense, context);
    const same = choice.recipeDigest === dense.recipeDigest;
    const result = same ? null : createPredictor(device, device.profile, context)(index);
    const prediction = same ? choice.prediction : result?.ok ? result.prediction : null;
    if (prediction === null) return;
    total.compared++;
    total.plan.tpotMs += choice.prediction.tpotMs.value;
    total.plan.bytes += choice.prediction.peakMemoryBytes.value;
    total.dense.tpotMs += prediction.tpotMs.value;
    total.dense.bytes += prediction.peakMemoryBytes.value;
  });
  const mean = (sum: number) => (total.compared === 0 ? 0 : sum / total.compared);
  return {
    variantName: dense.name,
    fits: assessments.filter(({ feasible }) => feasible.includes(index)).length,
    downloadBytes: total.downloadBytes,
    compared: total.compared,
    tpotMs: { plan: mean(total.plan.tpotMs), dense: mean(total.dense.tpotMs) },
    peakMemoryBytes: { plan: mean(total.plan.bytes), dense: mean(total.dense.bytes) },
  };
}
