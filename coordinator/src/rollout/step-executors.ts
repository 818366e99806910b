import type { Digest } from "@espalier/shared/contracts/digest";
import type { RolloutDevice, RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError } from "@espalier/shared/errors";
import type { Builds } from "../builds/builds.ts";
import type { Planner } from "../plan/planner.ts";
import type { ResolvedSpec } from "../plan/resolve-spec.ts";
import { assignDevice, findAssignment } from "../store/assignments.ts";
import type { StoreTransaction } from "../store/database.ts";
import { recordEvent } from "../store/events.ts";
import type { Store } from "../store/open.ts";
import { enqueue } from "../store/outbox.ts";
import { findSensitivity } from "../store/sensitivity.ts";
import { findVariant } from "../store/variants.ts";
import { knownKit } from "./collect-facts.ts";
import { adoptPlan, applyAssignment, applyBuilds, applyDevices, applyPhase, applyVerdict } from "./decide/apply.ts";
import type { RolloutFacts } from "./decide/facts.ts";
import { gatedTimes } from "./decide/measured-gates.ts";
import type { Step, StepOf } from "./decide/step.ts";
import type { MeasurementRuns } from "./measurement-runs.ts";
import { plannedRecipe, type RolloutJobs } from "./rollout-jobs.ts";

export interface ExecutorDependencies {
  store: Store;
  builds: Builds;
  planner: Planner;
  measurements: MeasurementRuns;
  isOnline: (deviceId: string) => boolean;
}

/** What a step is carried out on. */
export interface StepContext {
  state: RolloutState;
  resolved: ResolvedSpec;
  jobs: RolloutJobs;
  facts: RolloutFacts;
  nowMs: number;
}

/**
 * What a step makes of the state, and the rows that must be written in the same transaction. Null: the step only asked
 * somebody for something; the facts will tell.
 */
export interface Outcome {
  state: RolloutState;
  write?: (transaction: StoreTransaction) => Promise<void>;
}

/** One executor per step: a new step doesn't compile until it is handled. */
export type StepExecutors = {
  [Action in Step["action"]]: (step: StepOf<Action>, context: StepContext) => Promise<Outcome | null>;
};

export function createStepExecutors({
  store,
  builds,
  planner,
  measurements,
  isOnline,
}: ExecutorDependencies): StepExecutors {
  return {
    async "request-kit"(_step, { jobs }) {
      await builds.request(jobs.kit);
      return null;
    },
    async "request-sensitivity"(_step, { jobs }) {
      await builds.request(jobs.sensitivity);
      return null;
    },
    async measure({ deviceIds }, { jobs }) {
      const kit = await knownKit(store, jobs.kit);
      if (kit !== null) measurements.start(deviceIds, kit.digest);
      return null;
    },
    async "make-plan"({ scope }, { state, resolved, jobs, facts }) {
      const kit = await knownKit(store, jobs.kit);
      const key = { modelDigest: jobs.sensitivity.modelDigest, key: jobs.sensitivity.jobId };
      const sensitivity = await findSensitivity(store.db, key);
      if (kit === null || sensitivity === null) {
        throw new EspalierError("rollout.inputs-missing", "kit or sensitivity report are gone", {
          fields: { rolloutId: state.rolloutId },
        });
      }
      const inputs = { resolved, kit, sensitivity, isOnline };
      const plan =
        scope === "built-first" && state.plan !== null
          ? await planner.planAgain(inputs, state.plan)
          : await planner.plan(inputs);
      return { state: adoptPlan(state, plan, facts) };
    },
    async "request-builds"({ recipeDigests }, { state, jobs }) {
      for (const recipeDigest of recipeDigests) {
        const recipe = plannedRecipe(state, recipeDigest);
        if (recipe !== undefined) await builds.request(jobs.build(recipe));
      }
      return null;
    },
    "record-builds": async (step, { state }) => ({ state: applyBuilds(state, step) }),
    async "assign-wave"(step, { state, facts, nowMs }) {
      const next = applyAssignment(state, step, facts, nowMs);
      const changed = next.devices.filter((device, index) => device !== state.devices[index]);
      return {
        state: next,
        async write(transaction) {
          for (const device of changed) await assign(transaction, state, device.deviceId, device.artifactDigest, nowMs);
        },
      };
    },
    "record-devices": async ({ devices }, { state }) => ({ state: applyDevices(state, devices) }),
    async "step-down"({ devices }, { state, nowMs }) {
      return {
        state: applyDevices(state, devices),
        async write(transaction) {
          for (const { deviceId, artifactDigest, rung, reason } of devices) {
            await assign(transaction, state, deviceId, artifactDigest, nowMs);
            await recordEvent(transaction, {
              atMs: nowMs,
              deviceId,
              rolloutId: state.rolloutId,
              kind: "rollout.step-down",
              message: reason,
              data: { artifactDigest, rung },
            });
          }
        },
      };
    },
    async revert({ devices }, { state, nowMs }) {
      return {
        state: applyDevices(state, devices),
        async write(transaction) {
          for (const device of devices) await revertDevice(transaction, state, device, nowMs);
        },
      };
    },
    async "judge-wave"(step, { state, nowMs }) {
      return {
        state: applyVerdict(state, step),
        async write(transaction) {
          for (const gate of step.gates) {
            await recordEvent(transaction, {
              atMs: nowMs,
              rolloutId: state.rolloutId,
              kind: "rollout.gate",
              message: `${gate.gate} (${gate.subject}): ${gate.verdict}; ${gate.message}`,
              data: { wave: step.index, ...gate },
            });
          }
        },
      };
    },
    async enter(step, { state, nowMs }) {
      const next = applyPhase(state, step);
      if (step.phase !== "rolling") return { state: next };
      return {
        state: next,
        async write(transaction) {
          // What devices may step down to lies ready where they download before one needs it.
          for (const { artifactDigest } of state.plan?.fallbacks ?? []) {
            if (artifactDigest !== null)
              await enqueue(transaction, { kind: "artifact", subject: artifactDigest, nowMs });
          }
        },
      };
    },
  };
}

/** The device's next generation with this artifact, or with nothing to serve. */
async function assign(
  transaction: StoreTransaction,
  { rolloutId, spec, plan }: RolloutState,
  deviceId: string,
  artifactDigest: Digest | null,
  nowMs: number,
): Promise<void> {
  const variant = artifactDigest === null ? null : await findVariant(transaction, artifactDigest);
  if (artifactDigest !== null && variant === null) {
    throw new EspalierError("rollout.variant-missing", `the artifact ${artifactDigest} is not known`, {
      fields: { rolloutId, deviceId, artifactDigest },
    });
  }
  const limits = plan?.devices.find((device) => device.deviceId === deviceId)?.limits ?? {};
  await assignDevice(transaction, {
    deviceId,
    rolloutId,
    nowMs,
    variant:
      variant === null
        ? null
        : {
            artifactDigest: variant.artifactDigest,
            name: variant.name,
            modelName: variant.modelName,
            manifestBytes: variant.manifestBytes,
            totalBytes: variant.totalBytes,
            timing: { promptTokens: spec.promptTokens, outputTokens: spec.outputTokens, ...gatedTimes(limits, spec) },
          },
  });
}

/** A device that another rollout has taken over since is not this rollout's to send back. */
async function revertDevice(
  transaction: StoreTransaction,
  state: RolloutState,
  device: RolloutDevice,
  nowMs: number,
): Promise<void> {
  const current = await findAssignment(transaction, device.deviceId);
  if (current !== null && current.rolloutId !== state.rolloutId) return;
  await assign(transaction, state, device.deviceId, device.previousArtifactDigest, nowMs);
}
