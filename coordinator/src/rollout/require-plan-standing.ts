import { EspalierError } from "@espalier/shared/errors";
import type { Planner } from "../plan/planner.ts";
import type { ResolvedSpec } from "../plan/resolve-spec.ts";
import type { Store } from "../store/open.ts";
import { findSensitivity } from "../store/sensitivity.ts";
import { knownKit } from "./collect-facts.ts";
import { rolloutJobs } from "./rollout-jobs.ts";

/**
 * Makes an apply safe: what a plan was made from, named by its check index, must still be so.
 * @throws {EspalierError} `plan.stale`
 */
export async function requirePlanStanding(
  parts: { store: Store; planner: Pick<Planner, "checkIndex">; isOnline: (deviceId: string) => boolean },
  resolved: ResolvedSpec,
  wanted: string,
): Promise<void> {
  const { store, planner, isOnline } = parts;
  const jobs = rolloutJobs(resolved);
  const kit = await knownKit(store, jobs.kit);
  const { modelDigest, jobId } = jobs.sensitivity;
  const sensitivity = await findSensitivity(store.db, { modelDigest, key: jobId });
  const now =
    kit === null || sensitivity === null ? null : await planner.checkIndex({ resolved, kit, sensitivity, isOnline });
  if (now === wanted) return;
  throw new EspalierError("plan.stale", `the plan ${wanted} no longer stands: ${reason(now)}`, {
    fields: { wanted, now: now ?? "" },
    remedy: "plan again with `espalier plan`, and start with the index that it prints",
  });
}

function reason(now: string | null): string {
  return now === null
    ? "this specification was never planned, or for another model"
    : `specification, devices, measurements or variants have changed (now ${now})`;
}
