import type { BuildJob, BuildProgress } from "@espalier/shared/contracts/build";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import type { FileEntry } from "@espalier/shared/contracts/files";
import type { LayerProfile } from "@espalier/shared/contracts/layer-profile";
import type { Manifest } from "@espalier/shared/contracts/manifest";
import type { Quality } from "@espalier/shared/contracts/quality";
import { type Recipe, recipeDigest, recipeName } from "@espalier/shared/contracts/recipe";
import type { EvaluationReport, SensitivityReport } from "@espalier/shared/contracts/report";
import canonicalize from "canonicalize";
import { denseQuality, syntheticCandidates } from "../../plan/testing/synthetic-candidates.ts";
import { shapeOf, syntheticKit } from "../../predict/testing/synthetic-device.ts";

/** What a builder would hand in for a job: the result's digest and every object by its digest. */
export interface HandedIn {
  resultDigest: Digest;
  objects: Map<Digest, Uint8Array>;
}

/** Where a builder starts from when the model is not SmolLM2 but a few bytes. */
export interface FakeQuality {
  /** Quality of the built artifact, by variant name; absent: as the sensitivity job says. */
  built?: Readonly<Record<string, Quality>>;
}

const protocol = {
  datasetDigest: null,
  datasetOrigin: "self-sampled",
  sequenceLength: 128,
  windows: 8,
  tokens: 1024,
  engine: "onnxruntime",
  engineVersion: "1",
} as const;

/**
 * Stands in for the Python builder where a test is about the coordinator: gives results of the right form at once, with
 * the synthetic model's sizes and qualities and a few bytes of weights.
 */
export function fakeResult(job: BuildJob, quality: FakeQuality = {}): HandedIn {
  const objects = new Map<Digest, Uint8Array>();
  const add = (bytes: Uint8Array): Digest => {
    const digest = digestOfBytes(bytes);
    objects.set(digest, bytes);
    return digest;
  };
  const addJson = (value: unknown): Digest => add(Buffer.from(canonicalize(value) ?? ""));
  const file = (path: string, ...chunks: Uint8Array[]): FileEntry => ({
    path,
    sizeBytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    digest: digestOfBytes(Buffer.concat(chunks)),
    chunks: chunks.map((chunk) => ({ digest: add(chunk), sizeBytes: chunk.length })),
  });
  switch (job.kind) {
    case "kit": {
      const graph = file("g.onnx", Buffer.from("graph"));
      return { resultDigest: addJson({ ...syntheticKit(), modelDigest: job.modelDigest, files: [graph] }), objects };
    }
    case "sensitivity":
      return { resultDigest: addJson(sensitivityOf(job.modelDigest, job.candidates)), objects };
    case "search":
      return { resultDigest: addJson(sensitivityOf(job.modelDigest, searched())), objects };
    case "profile":
      return { resultDigest: addJson(layerProfileOf(job)), objects };
    case "build":
      return { resultDigest: addJson(manifestOf(job, file, quality)), objects };
  }
}

function layerProfileOf(job: Extract<BuildJob, { kind: "profile" }>): LayerProfile {
  const shape = shapeOf({ bits: 32, blockSize: 0, symmetric: true, accuracyLevel: 0 }, 2, 1536);
  const damage = { kl: 0.1, klHalfWidth: 0.01 };
  return {
    schemaVersion: 1,
    modelDigest: job.modelDigest,
    protocol,
    dense: denseQuality,
    shape,
    probeFormat: { bits: 4, blockSize: 32, symmetric: true, accuracyLevel: 4 },
    blocks: shape.layers.flatMap((_, layer) =>
      (["attention", "ffn"] as const).map((part) => ({ layer, part, removed: damage, quantized: damage })),
    ),
  };
}

/** Two recipes of the default grid, as a search's front. */
function searched(): Recipe[] {
  return syntheticCandidates()
    .slice(0, 2)
    .map(({ recipe }) => recipe);
}

function sensitivityOf(modelDigest: Digest, candidates: readonly Recipe[]): SensitivityReport {
  const known = candidates.map((recipe) => knownCandidate(recipe));
  return {
    schemaVersion: 1,
    modelDigest,
    protocol,
    dense: denseQuality,
    candidates: known.map(({ recipe, shape, quality }) => ({
      recipe,
      recipeDigest: recipeDigest(recipe),
      shape,
      quality,
      slices: [],
      seconds: 1,
    })),
    rejected: [],
  };
}

function manifestOf(
  job: Extract<BuildJob, { kind: "build" }>,
  file: (path: string, ...chunks: Uint8Array[]) => FileEntry,
  { built = {} }: FakeQuality,
): Manifest {
  const { shape, quality } = knownCandidate(job.recipe);
  const name = recipeName(job.recipe);
  const report: EvaluationReport = {
    schemaVersion: 1,
    recipe: job.recipe,
    requestedSparsity: 0,
    achievedSparsity: 0,
    paired: null,
    slices: [],
    answers: [],
    dense: { quality: denseQuality, protocol, parameters: 100 },
    stages: [{ stage: "exported", quality: built[name] ?? quality, protocol, parameters: 100, sizeBytes: 100 }],
    costs: [],
    notes: [],
  };
  const text = (value: unknown) => Buffer.from(JSON.stringify(value));
  const files = [
    file("model.onnx", Buffer.from(`graph of ${name}`)),
    file("model.onnx.data", Buffer.from("shared embedding"), Buffer.from(`layers of ${name}`)),
    file("tokenizer.json", text({})),
    file("tokenizer_config.json", text({})),
    file(
      "chat.json",
      text({
        schemaVersion: 1,
        chatTemplate: null,
        bosTokenId: null,
        eosTokenIds: [],
        addBosToken: false,
        bosToken: null,
        eosToken: null,
        contextLength: 128,
      }),
    ),
    file(
      "probe.json",
      text({
        schemaVersion: 1,
        firstLogits: { tokens: [1], indices: [0], values: [0], minCosine: 0.9 },
        prompts: [{ tokens: [1, 2], denseTop1: [1, 2], variantTop1: [1, 2] }],
        minAgreementWithBuilder: 0.9,
      }),
    ),
    file("report.json", text(report)),
  ];
  return {
    schemaVersion: 1,
    kind: "variant",
    name,
    modelName: "model",
    recipe: job.recipe,
    recipeDigest: recipeDigest(job.recipe),
    lineage: {
      modelDigest: job.modelDigest,
      calibrationDigest: job.calibrationDigest,
      evaluationDigest: job.evaluationDigest,
      builderVersion: "test",
      seed: job.seed,
    },
    shape,
    graph: {
      file: "model.onnx",
      version: 1,
      opset: 21,
      kvDtype: "float32",
      contextLength: 128,
      layers: [],
      vocabularySize: 10,
    },
    tensors: [],
    files,
    totalBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    runtime: { onnxruntime: "1.30", executionProviders: ["cpu"] },
  };
}

function knownCandidate(recipe: Recipe) {
  const candidate = syntheticCandidates().find(({ recipeDigest: digest }) => digest === recipeDigest(recipe));
  if (candidate === undefined)
    throw new Error(`the fake builder knows only the default grid, not ${recipeName(recipe)}`);
  return candidate;
}

export function progressOf(job: BuildJob, change: Partial<BuildProgress> = {}): BuildProgress {
  return {
    schemaVersion: 1,
    jobId: job.jobId,
    attempt: 1,
    sequence: 1,
    builderId: "fake",
    atMs: 1,
    state: "running",
    stage: "quantize",
    fraction: 0.5,
    message: "",
    resultDigest: null,
    ...change,
  };
}
