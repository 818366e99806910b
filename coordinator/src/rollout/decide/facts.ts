import type { Generation } from "@espalier/shared/contracts/assignment";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { Proof } from "@espalier/shared/contracts/proof";
import type { EvaluationReport } from "@espalier/shared/contracts/report";

/** What is known of a build job. `missing`: never asked for, or given up before this rollout was started. */
export interface JobFact {
  state: "missing" | "queued" | "running" | "retrying" | "succeeded" | "dead";
  stage: string;
  fraction: number;
  message: string;
}

export interface BuildFact extends JobFact {
  jobId: Digest;
  recipeDigest: Digest;
  /** With `succeeded`. */
  artifactDigest: Digest | null;
  report: EvaluationReport | null;
}

/** What a device last said it does, of which generation and artifact. */
export interface ReportFact {
  state: "new" | "assigned" | "downloading" | "verifying" | "proving" | "active" | "failed" | "idle";
  reason: string;
  generation: { epoch: number; n: number };
  artifactDigest: Digest | null;
  downloadedBytes: number;
  totalBytes: number;
  proof: Proof | null;
}

export interface DeviceFact {
  deviceId: string;
  name: string;
  online: boolean;
  /** Has a profile with timings of this rollout's kit. */
  measured: boolean;
  /** Of a measurement asked for by this coordinator process. */
  measurement: { state: "idle" | "running" | "failed"; message: string };
  activeArtifactDigest: Digest | null;
  assignment: { rolloutId: string | null; generation: Generation; artifactDigest: Digest | null } | null;
  report: ReportFact;
}

/** Everything besides the rollout's own state that decisions follow from, read at one moment. */
export interface RolloutFacts {
  /** Until then a device that isn't connected may only not have connected yet: the coordinator or the rollout is young. */
  connectGraceEndsAtMs: number;
  kit: JobFact;
  sensitivity: JobFact;
  /** Devices that the spec selects, and those that the rollout already has. */
  devices: readonly DeviceFact[];
  builds: ReadonlyMap<Digest, BuildFact>;
}
