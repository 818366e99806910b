import { BuildJob } from "@espalier/shared/contracts/build";
import { type Digest, digestOfJson } from "@espalier/shared/contracts/digest";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { formatKey, type WeightFormat } from "@espalier/shared/contracts/shape";

/** A model to build from. `sizeBytes`: of its files as stored. */
export interface ModelSource {
  digest: Digest;
  sizeBytes: number;
}

/** What jobs of one rollout have in common. Datasets by digest; null lets the builder sample text from the model. */
export interface BuildSettings {
  model: ModelSource;
  calibrationDigest: Digest | null;
  evaluationDigest: Digest | null;
  build: RolloutSpec["build"];
}

type Unnamed<Job> = Job extends BuildJob ? Omit<Job, "jobId"> : never;

/** Names a job by its content, so that the same work asked twice is one job. */
function named(job: Unnamed<BuildJob>): BuildJob {
  return BuildJob.parse({ ...job, jobId: digestOfJson(job) });
}

export function composeBuild(settings: BuildSettings, recipe: Recipe): BuildJob {
  return named({ ...dataOf(settings, settings.build.evaluationTokens), kind: "build", recipe });
}

export function composeSensitivity(settings: BuildSettings, candidates: readonly Recipe[]): BuildJob {
  return named({
    ...dataOf(settings, settings.build.sensitivityTokens),
    kind: "sensitivity",
    candidates: [...candidates],
  });
}

export function composeProfile(
  model: ModelSource,
  evaluation: Pick<
    Extract<BuildJob, { kind: "profile" }>,
    "evaluationDigest" | "evaluationTokens" | "sequenceLength" | "seed"
  >,
): BuildJob {
  return named({
    schemaVersion: 1,
    kind: "profile",
    modelDigest: model.digest,
    requirements: { memoryBytes: memoryFor(model), gpu: false },
    ...evaluation,
  });
}

export function composeSearch(
  model: ModelSource,
  search: Omit<
    Extract<BuildJob, { kind: "search" }>,
    "schemaVersion" | "jobId" | "kind" | "modelDigest" | "requirements"
  >,
): BuildJob {
  return named({
    schemaVersion: 1,
    kind: "search",
    modelDigest: model.digest,
    requirements: { memoryBytes: memoryFor(model), gpu: false },
    ...search,
  });
}

export function composeKit(model: ModelSource, formats: readonly WeightFormat[]): BuildJob {
  const sorted = [...formats].sort((a, b) => (formatKey(a) < formatKey(b) ? -1 : 1));
  return named({
    schemaVersion: 1,
    kind: "kit",
    modelDigest: model.digest,
    requirements: { memoryBytes: 0, gpu: false },
    formats: sorted,
  });
}

/** Which kit request a set of formats is. */
export function formatsKey(formats: readonly WeightFormat[]): string {
  return formats.map(formatKey).sort().join(",");
}

function dataOf({ model, calibrationDigest, evaluationDigest, build }: BuildSettings, evaluationTokens: number) {
  return {
    schemaVersion: 1 as const,
    modelDigest: model.digest,
    requirements: { memoryBytes: memoryFor(model), gpu: false },
    calibrationDigest,
    evaluationDigest,
    calibrationTokens: build.calibrationTokens,
    evaluationTokens,
    sequenceLength: build.sequenceLength,
    seed: build.seed,
  };
}

/** Dense fp32 weights of a 16-bit or 8-bit checkpoint, a pruned copy and the statistics of a layer (ours, rough). */
function memoryFor({ sizeBytes }: ModelSource): number {
  return sizeBytes * 6;
}
