import type { BuildJob } from "@espalier/shared/contracts/build";
import type { Digest } from "@espalier/shared/contracts/digest";
import { Kit } from "@espalier/shared/contracts/kit";
import { LayerProfile } from "@espalier/shared/contracts/layer-profile";
import { artifactFiles, ChatConfig, KvCacheScales, Manifest, Probe } from "@espalier/shared/contracts/manifest";
import { recipeDigest } from "@espalier/shared/contracts/recipe";
import { EvaluationReport, SensitivityReport } from "@espalier/shared/contracts/report";
import { formatKey } from "@espalier/shared/contracts/shape";
import { hasCode, messageOf } from "@espalier/shared/errors";
import type { z } from "zod";
import type { BlobStore } from "../blobs/blob-store.ts";
import { parseDocument, readWholeFile } from "../blobs/read-tree.ts";
import type { Inbox } from "../nats/inbox.ts";
import { wireBytesOf } from "../nats/objects.ts";
import { exportedQuality } from "../plan/decide/exported-quality.ts";
import type { StoreTransaction } from "../store/database.ts";
import { insertKit } from "../store/kits.ts";
import { enqueue } from "../store/outbox.ts";
import { saveSensitivity } from "../store/sensitivity.ts";
import { insertVariant } from "../store/variants.ts";
import { formatsKey } from "./compose-job.ts";
import { invalidResult } from "./result-error.ts";
import { verifyFiles } from "./verify-files.ts";

export interface IntakeDependencies {
  blobs: BlobStore;
  inbox: Inbox;
}

/** Writes the rows that make a verified result known. */
export type RecordResult = (transaction: StoreTransaction, nowMs: number) => Promise<void>;

/**
 * Moves what a builder made into the blob store and verifies it against what was asked for.
 * @throws {EspalierError} `build.invalid-result`; other errors (broker, disk) may pass by themselves
 */
export async function intakeResult(
  dependencies: IntakeDependencies,
  job: BuildJob,
  resultDigest: Digest,
): Promise<RecordResult> {
  switch (job.kind) {
    case "build":
      return intakeVariant(dependencies, job, resultDigest);
    case "kit":
      return intakeKit(dependencies, job, resultDigest);
    case "sensitivity":
      return intakeSensitivity(dependencies, job, resultDigest);
    case "profile":
      return intakeProfile(dependencies, job, resultDigest);
    case "search":
      return intakeSearch(dependencies, job, resultDigest);
  }
}

type JobOf<Kind extends BuildJob["kind"]> = Extract<BuildJob, { kind: Kind }>;

async function intakeVariant(
  { blobs, inbox }: IntakeDependencies,
  job: JobOf<"build">,
  resultDigest: Digest,
): Promise<RecordResult> {
  const manifest = await take(inbox, job, resultDigest, Manifest);
  const wanted = recipeDigest(job.recipe);
  demand(
    job,
    recipeDigest(manifest.recipe) === wanted && manifest.recipeDigest === wanted,
    "the variant has another recipe than asked for",
  );
  demand(job, manifest.kvCache === job.recipe.kvCache, "the variant's KV cache is not the one asked for");
  demand(job, manifest.lineage.modelDigest === job.modelDigest, "the variant was made from another model");
  demand(job, manifest.lineage.calibrationDigest === job.calibrationDigest, "the variant was calibrated on other data");
  demand(job, manifest.lineage.evaluationDigest === job.evaluationDigest, "the variant was evaluated on other data");
  const files = new Map(manifest.files.map((file) => [file.path, file]));
  demand(job, files.size === manifest.files.length, "the manifest lists a file twice");
  for (const name of [artifactFiles.graph, artifactFiles.weights, artifactFiles.tokenizer]) {
    demand(job, files.has(name), `the artifact has no ${name}`);
  }
  await verifyFiles(blobs, job.jobId, manifest.files);
  const filesBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  demand(job, manifest.totalBytes === filesBytes, `the files have ${filesBytes} bytes, not ${manifest.totalBytes}`);
  const read = async <Schema extends z.ZodType>(name: string, schema: Schema) => {
    const file = files.get(name);
    if (file === undefined) throw invalidResult(job.jobId, `the artifact has no ${name}`);
    return parse(job, file.digest, schema, await readWholeFile(blobs, file));
  };
  await read(artifactFiles.probe, Probe);
  await read(artifactFiles.chat, ChatConfig);
  if (manifest.kvCache !== undefined) await read(artifactFiles.kvCache, KvCacheScales);
  const report = await read(artifactFiles.report, EvaluationReport);
  demand(job, exportedQuality(report) !== null, "the report has no quality of the exported variant");
  const manifestBytes = (await blobs.get(resultDigest)).length;
  const wireBytes = await wireBytesOf(blobs, manifest.files);
  return (transaction, nowMs) =>
    insertVariant(transaction, {
      artifactDigest: resultDigest,
      recipeDigest: wanted,
      modelDigest: job.modelDigest,
      buildKey: job.jobId,
      name: manifest.name,
      modelName: manifest.modelName,
      manifestBytes,
      totalBytes: manifest.totalBytes,
      wireBytes,
      report,
      builtAtMs: nowMs,
    });
}

async function intakeKit(
  { blobs, inbox }: IntakeDependencies,
  job: JobOf<"kit">,
  resultDigest: Digest,
): Promise<RecordResult> {
  const kit = await take(inbox, job, resultDigest, Kit);
  demand(job, kit.modelDigest === job.modelDigest, "the kit is of another model");
  const timed = new Set(kit.graphs.map(({ format }) => formatKey(format)));
  const lacking = job.formats.map(formatKey).filter((key) => !timed.has(key));
  demand(job, lacking.length === 0, `the kit lacks the formats ${lacking.join(", ")}`);
  await verifyFiles(blobs, job.jobId, kit.files);
  return async (transaction, nowMs) => {
    await insertKit(transaction, {
      digest: resultDigest,
      modelDigest: job.modelDigest,
      formatsKey: formatsKey(job.formats),
      createdAtMs: nowMs,
    });
    await enqueue(transaction, { kind: "artifact", subject: resultDigest, nowMs });
  };
}

async function intakeSensitivity(
  { inbox }: IntakeDependencies,
  job: JobOf<"sensitivity">,
  resultDigest: Digest,
): Promise<RecordResult> {
  const report = await take(inbox, job, resultDigest, SensitivityReport);
  demand(job, report.modelDigest === job.modelDigest, "the sensitivity report is of another model");
  const asked = new Set(job.candidates.map(recipeDigest));
  for (const { recipe, recipeDigest: stated } of report.candidates) {
    const digest = recipeDigest(recipe);
    const known = digest === stated && asked.has(digest);
    demand(job, known, `the sensitivity report has a candidate that nobody asked for: ${stated}`);
  }
  return (transaction) =>
    saveSensitivity(transaction, { modelDigest: job.modelDigest, key: job.jobId, reportDigest: resultDigest, report });
}

/** A profile has no row of its own: the job's names the blob. */
async function intakeProfile(
  { inbox }: IntakeDependencies,
  job: JobOf<"profile">,
  resultDigest: Digest,
): Promise<RecordResult> {
  const profile = await take(inbox, job, resultDigest, LayerProfile);
  demand(job, profile.modelDigest === job.modelDigest, "the layer profile is of another model");
  const unknown = profile.blocks.find(({ layer }) => layer >= profile.shape.layers.length);
  demand(job, unknown === undefined, `the layer profile has a block of layer ${unknown?.layer}, the model has none`);
  return async () => {};
}

/** The front has no row of its own either. */
async function intakeSearch(
  { inbox }: IntakeDependencies,
  job: JobOf<"search">,
  resultDigest: Digest,
): Promise<RecordResult> {
  const front = await take(inbox, job, resultDigest, SensitivityReport);
  demand(job, front.modelDigest === job.modelDigest, "the front is of another model");
  const misnamed = front.candidates.find(({ recipe, recipeDigest: stated }) => recipeDigest(recipe) !== stated);
  demand(job, misnamed === undefined, `the front misnames the recipe ${misnamed?.recipeDigest}`);
  return async () => {};
}

/** What the builder handed in wrongly stays wrong; a broker that doesn't answer or a full disk may pass. */
const builderFaults = ["object.missing", "blob.mismatch", "blob.malformed", "blob.oversize"];

async function take<Schema extends z.ZodType<object>>(
  inbox: Inbox,
  job: BuildJob,
  digest: Digest,
  schema: Schema,
): Promise<z.infer<Schema>> {
  try {
    return await inbox.takeResult(digest, schema);
  } catch (cause) {
    throw translate(job, cause);
  }
}

function parse<Schema extends z.ZodType>(
  job: BuildJob,
  digest: Digest,
  schema: Schema,
  bytes: Uint8Array,
): z.infer<Schema> {
  try {
    return parseDocument(bytes, digest, schema);
  } catch (cause) {
    throw translate(job, cause);
  }
}

function translate(job: BuildJob, cause: unknown): unknown {
  if (!builderFaults.some((code) => hasCode(cause, code))) return cause;
  return invalidResult(job.jobId, `the result was refused: ${messageOf(cause).slice(0, 3000)}`, cause);
}

function demand(job: BuildJob, holds: boolean, message: string): void {
  if (!holds) throw invalidResult(job.jobId, message);
}
