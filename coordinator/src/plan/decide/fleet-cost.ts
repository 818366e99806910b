import type { PlanCost } from "@espalier/shared/contracts/plan";
import { type AssessContext, type Assessment, expected, runs, upperEnd, wireBytes } from "./assess.ts";
import type { Candidate } from "./candidate.ts";

/** Which candidate a kind of devices gets, by the `id` of its options; undefined where none. */
type Choices = readonly (number | undefined)[];

/**
 * What a plan costs beside shipping the best unpruned candidate to every device.
 * @param toBuild candidates that the plan has built, where they aren't yet
 */
export function fleetCost(
  assessments: readonly Assessment[],
  choices: Choices,
  toBuild: ReadonlySet<number>,
  context: AssessContext,
  buildSeconds: number | null,
): PlanCost {
  const { candidates } = context;
  let downloadBytes = 0;
  let longestDownloadSeconds: number | null = null;
  for (const assessment of assessments) {
    const choice = choices[assessment.options.id];
    const candidate = choice === undefined ? undefined : candidates[choice];
    if (choice === undefined || candidate === undefined || runs(assessment.device, candidate)) continue;
    downloadBytes += wireBytes(context, choice);
    const seconds = expected(assessment, choice, "downloadSeconds");
    if (!Number.isNaN(seconds)) longestDownloadSeconds = Math.max(longestDownloadSeconds ?? 0, seconds);
  }
  return {
    variantsToBuild: candidates.filter((c, index) => toBuild.has(index) && c.artifact === null).map(({ name }) => name),
    buildSeconds,
    downloadBytes,
    longestDownloadSeconds,
    dense: denseCost(assessments, choices, context),
  };
}

function denseCost(assessments: readonly Assessment[], choices: Choices, context: AssessContext): PlanCost["dense"] {
  const index = context.candidates.findIndex(({ recipe }) => recipe.pruning.method === "none");
  const dense: Candidate | undefined = context.candidates[index];
  if (dense === undefined) return null;
  const total = { plan: { tpotMs: 0, bytes: 0 }, dense: { tpotMs: 0, bytes: 0 }, compared: 0, downloadBytes: 0 };
  const energy = { compared: 0, plan: 0, dense: 0 };
  for (const assessment of assessments) {
    const chosen = choices[assessment.options.id];
    if (chosen === undefined) continue;
    if (!runs(assessment.device, dense)) total.downloadBytes += wireBytes(context, index);
    if (Number.isNaN(upperEnd(assessment, index, "tpotP90Ms"))) continue;
    total.compared++;
    total.plan.tpotMs += upperEnd(assessment, chosen, "tpotP90Ms");
    total.plan.bytes += upperEnd(assessment, chosen, "peakMemoryBytes");
    total.dense.tpotMs += upperEnd(assessment, index, "tpotP90Ms");
    total.dense.bytes += upperEnd(assessment, index, "peakMemoryBytes");
    const planJ = upperEnd(assessment, chosen, "joulesPerToken");
    const denseJ = upperEnd(assessment, index, "joulesPerToken");
    if (Number.isNaN(planJ + denseJ)) continue;
    energy.compared++;
    energy.plan += planJ;
    energy.dense += denseJ;
  }
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
