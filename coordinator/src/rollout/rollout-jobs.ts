import type { BuildJob } from "@espalier/shared/contracts/build";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { composeBuild, composeKit, composeSensitivity } from "../builds/compose-job.ts";
import { kitFormats } from "../builds/weight-formats.ts";
import { candidatesOf } from "../plan/decide/candidate-grid.ts";
import type { ResolvedSpec } from "../plan/resolve-spec.ts";

/** The jobs whose results a rollout needs; equal for every rollout of the same content. */
export interface RolloutJobs {
  kit: BuildJob;
  sensitivity: BuildJob;
  build(recipe: Recipe): BuildJob;
}

export function rolloutJobs({ spec, settings }: ResolvedSpec): RolloutJobs {
  const candidates = candidatesOf(spec);
  return {
    kit: composeKit(settings.model, kitFormats(candidates)),
    sensitivity: composeSensitivity(settings, candidates),
    build: (recipe) => composeBuild(settings, recipe),
  };
}

/** The recipe behind a digest in the rollout's plan. */
export function plannedRecipe({ plan }: RolloutState, recipeDigest: Digest): Recipe | undefined {
  return plan?.frontier.find((variant) => variant.recipeDigest === recipeDigest)?.recipe;
}
