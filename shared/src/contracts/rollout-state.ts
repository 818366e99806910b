import { z } from "zod";
import { Digest } from "./digest.ts";
import { Plan } from "./plan.ts";
import { Proof } from "./proof.ts";
import { RolloutSpec } from "./rollout-spec.ts";

export const Verdict = z.enum(["pass", "fail", "inconclusive", "error"]);
export type Verdict = z.infer<typeof Verdict>;

/** One gate's decision with the values it was made from. */
export const GateResult = z.strictObject({
  gate: z.enum([
    "quality-floor",
    "failures",
    "latency-objective",
    "latency-prediction",
    "memory-objective",
    "energy-objective",
    "probe",
  ]),
  /** Device class, variant name or `all`. */
  subject: z.string(),
  verdict: Verdict,
  measured: z.number().nullable(),
  allowed: z.number().nullable(),
  evidence: z.int().nonnegative(),
  message: z.string(),
});
export type GateResult = z.infer<typeof GateResult>;

/** Where a device stands in a rollout. All but the first three are terminal. */
export const DevicePhase = z.enum([
  "pending",
  "assigned",
  "working",
  "active",
  "failed",
  "rolled-back",
  "offline",
  "skipped",
]);
export type DevicePhase = z.infer<typeof DevicePhase>;

export const RolloutDevice = z.strictObject({
  deviceId: z.string(),
  name: z.string(),
  wave: z.int().nonnegative(),
  phase: DevicePhase,
  /** 0: the plan's choice; n: the n-th step of the plan's ladder, since what came before failed. */
  rung: z.int().nonnegative().default(0),
  artifactDigest: Digest.nullable(),
  previousArtifactDigest: Digest.nullable(),
  assignedAtMs: z.int().nullable(),
  progress: z.string(),
  reason: z.string(),
  proof: Proof.nullable(),
});
export type RolloutDevice = z.infer<typeof RolloutDevice>;

export const RolloutPhase = z.enum([
  "planning",
  "building",
  "rolling",
  "paused",
  "complete",
  "aborted",
  "failed",
  "rolled-back",
]);
export type RolloutPhase = z.infer<typeof RolloutPhase>;

export const RolloutState = z.strictObject({
  schemaVersion: z.literal(1),
  rolloutId: z.string(),
  spec: RolloutSpec,
  phase: RolloutPhase,
  /** Why it is paused, failed or aborted. */
  reason: z.string(),
  createdAtMs: z.int(),
  updatedAtMs: z.int(),
  plan: Plan.nullable(),
  builds: z.array(
    z.strictObject({
      recipeDigest: Digest,
      variantName: z.string(),
      jobId: Digest.nullable(),
      state: z.enum(["pending", "running", "succeeded", "dead"]),
      stage: z.string(),
      fraction: z.number(),
      artifactDigest: Digest.nullable(),
      message: z.string(),
    }),
  ),
  waves: z.array(
    z.strictObject({
      index: z.int(),
      name: z.string(),
      state: z.enum(["waiting", "running", "passed", "failed", "inconclusive"]),
      gates: z.array(GateResult),
    }),
  ),
  devices: z.array(RolloutDevice),
});
export type RolloutState = z.infer<typeof RolloutState>;
