import type { BuildJob } from "@espalier/shared/contracts/build";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { formatsKey } from "../builds/compose-job.ts";
import { measuredProfile } from "../devices/measured-profile.ts";
import { plannedBuilds } from "../plan/decide/planned-builds.ts";
import { selectDevices } from "../plan/planner.ts";
import { listAssignments } from "../store/assignments.ts";
import { listDevices } from "../store/devices.ts";
import { findJob } from "../store/jobs.ts";
import { findKit } from "../store/kits.ts";
import type { Store } from "../store/open.ts";
import { findSensitivity } from "../store/sensitivity.ts";
import { findVariantByBuild } from "../store/variants.ts";
import type { BuildFact, DeviceFact, JobFact, RolloutFacts } from "./decide/facts.ts";
import type { MeasurementRuns } from "./measurement-runs.ts";
import { plannedRecipe, type RolloutJobs } from "./rollout-jobs.ts";

const done: JobFact = { state: "succeeded", stage: "", fraction: 1, message: "" };
const missing: JobFact = { state: "missing", stage: "", fraction: 0, message: "" };

/** Reads from the database, and from who is connected, all that a rollout's next step follows from. */
export async function collectFacts(parts: {
  store: Store;
  isOnline: (deviceId: string) => boolean;
  measurements: MeasurementRuns;
  connectGraceEndsAtMs: number;
  state: RolloutState;
  jobs: RolloutJobs;
}): Promise<RolloutFacts> {
  const { store, state, jobs } = parts;
  const kit = await knownKit(store, jobs.kit);
  const sensitivity = await findSensitivity(store.db, {
    modelDigest: jobs.sensitivity.modelDigest,
    key: jobs.sensitivity.jobId,
  });
  const builds = new Map<Digest, BuildFact>();
  const planned = state.plan === null ? [] : plannedBuilds(state.plan);
  const recipeDigests = [...planned, ...state.builds].map(({ recipeDigest }) => recipeDigest);
  for (const recipeDigest of new Set(recipeDigests)) {
    const recipe = plannedRecipe(state, recipeDigest);
    if (recipe !== undefined) builds.set(recipeDigest, await buildFact(store, jobs.build(recipe), recipeDigest, state));
  }
  return {
    connectGraceEndsAtMs: parts.connectGraceEndsAtMs,
    kit: kit === null ? await jobFact(store, jobs.kit, state) : done,
    sensitivity: sensitivity === null ? await jobFact(store, jobs.sensitivity, state) : done,
    devices: await deviceFacts(parts, kit),
    builds,
  };
}

export function knownKit(store: Store, job: BuildJob) {
  const formats = job.kind === "kit" ? formatsKey(job.formats) : "";
  return findKit(store.db, { modelDigest: job.modelDigest, formatsKey: formats });
}

/** A job that died before the rollout began is tried once more. */
async function jobFact(store: Store, job: BuildJob, { createdAtMs }: RolloutState): Promise<JobFact> {
  const row = await findJob(store.db, job.jobId);
  if (row === null || (row.state === "dead" && row.updatedAtMs < createdAtMs)) return missing;
  return { state: row.state, stage: row.stage, fraction: row.fraction, message: row.message };
}

async function buildFact(store: Store, job: BuildJob, recipeDigest: Digest, state: RolloutState): Promise<BuildFact> {
  const variant = await findVariantByBuild(store.db, job.jobId);
  return {
    ...(variant === null ? await jobFact(store, job, state) : done),
    jobId: job.jobId,
    recipeDigest,
    artifactDigest: variant?.artifactDigest ?? null,
    report: variant?.report ?? null,
  };
}

async function deviceFacts(
  { store, isOnline, measurements, state }: Parameters<typeof collectFacts>[0],
  kit: Awaited<ReturnType<typeof knownKit>>,
): Promise<DeviceFact[]> {
  const all = await listDevices(store.db);
  const taken = new Set(state.devices.map(({ deviceId }) => deviceId));
  const selected = new Set([...selectDevices(all, state.spec).map(({ id }) => id), ...taken]);
  const assignments = new Map((await listAssignments(store.db)).map((assignment) => [assignment.deviceId, assignment]));
  const facts: DeviceFact[] = [];
  for (const device of all) {
    if (!selected.has(device.id)) continue;
    const assignment = assignments.get(device.id);
    facts.push({
      deviceId: device.id,
      name: device.name,
      online: isOnline(device.id),
      // Profiles are large; only planning asks for them.
      measured: state.phase === "planning" && kit !== null && (await measuredProfile(store.db, device, kit)) !== null,
      measurement: kit === null ? { state: "idle", message: "" } : measurements.standing(device.id, kit.digest),
      activeArtifactDigest: device.activeArtifactDigest,
      assignment:
        assignment === undefined
          ? null
          : {
              rolloutId: assignment.rolloutId,
              generation: assignment.generation,
              artifactDigest: assignment.variant?.artifactDigest ?? null,
            },
      report: device.status,
    });
  }
  return facts;
}
