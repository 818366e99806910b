import type { PlannedVariant } from "@espalier/shared/contracts/plan";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { plannedBuilds } from "../../plan/decide/planned-builds.ts";
import type { BuildFact, RolloutFacts } from "./facts.ts";
import type { BuildRow, Step } from "./step.ts";

/**
 * Has every chosen variant and fallback built, then plans once more with the quality of what was really built: a variant below
 * the floor drops out before any device is told. A fallback that can't be built drops out as well, and holds up nothing. Ends
 * since every round leaves one more variant built.
 */
export function decideBuilding(state: RolloutState, facts: RolloutFacts): readonly Step[] {
  const { plan } = state;
  if (plan === null) return [{ action: "enter", phase: "planning", reason: "" }];
  if (plan.variants.length === 0) {
    const reason = plan.devices[0]?.reason ?? "no device was selected";
    return [{ action: "enter", phase: "failed", reason: `no variant fits any device: ${reason}` }];
  }
  const wanted = plannedBuilds(plan);
  const stateOf = ({ recipeDigest }: PlannedVariant) => facts.builds.get(recipeDigest)?.state ?? "missing";
  const missing = wanted.filter((variant) => stateOf(variant) === "missing");
  if (missing.length > 0) {
    return [{ action: "request-builds", recipeDigests: missing.map(({ recipeDigest }) => recipeDigest) }];
  }
  const rows = state.builds.map((row) => updateRow(row, facts.builds.get(row.recipeDigest)));
  if (rows.some((row, index) => !sameRow(row, state.builds[index]))) return [{ action: "record-builds", builds: rows }];

  const dead = plan.variants.find((variant) => stateOf(variant) === "dead");
  if (dead !== undefined) {
    const message = facts.builds.get(dead.recipeDigest)?.message ?? "";
    return [{ action: "enter", phase: "failed", reason: `building ${dead.name} failed: ${message}` }];
  }
  if (!wanted.every((variant) => ["succeeded", "dead"].includes(stateOf(variant)))) return [];
  const final = wanted.every(({ qualitySource, artifactDigest, recipeDigest }) => {
    return qualitySource === "report" && artifactDigest === facts.builds.get(recipeDigest)?.artifactDigest;
  });
  return final ? [{ action: "enter", phase: "rolling", reason: "" }] : [{ action: "make-plan", scope: "built-first" }];
}

function updateRow(row: BuildRow, fact: BuildFact | undefined): BuildRow {
  if (fact === undefined || fact.state === "missing") return row;
  return {
    ...row,
    jobId: fact.jobId,
    state: fact.state === "queued" ? "pending" : fact.state === "retrying" ? "running" : fact.state,
    stage: fact.stage,
    fraction: fact.state === "succeeded" ? 1 : fact.fraction,
    artifactDigest: fact.artifactDigest,
    message: fact.message,
  };
}

function sameRow(a: BuildRow, b: BuildRow | undefined): boolean {
  return b !== undefined && (Object.keys(a) as (keyof BuildRow)[]).every((key) => a[key] === b[key]);
}
