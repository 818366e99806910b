import { randomBytes } from "node:crypto";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import type { FileEntry } from "@espalier/shared/contracts/files";
import type { Manifest } from "@espalier/shared/contracts/manifest";
import { hex, objectBuckets } from "@espalier/shared/nats-names";
import { packObject } from "@espalier/shared/object-packing";
import { Objm } from "@nats-io/obj";
import type { NatsConnection } from "@nats-io/transport-node";

export interface TestArtifact {
  readonly artifactDigest: Digest;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  readonly totalBytes: number;
  /** Every object of the bucket: the manifest and all chunks. */
  readonly objects: ReadonlyMap<Digest, Uint8Array>;
}

/** An artifact of the right form whose weights are random: enough for everything short of running it. */
export function makeArtifact(
  options: {
    name?: string;
    weightBytes?: number;
    chunkBytes?: number;
    shared?: Uint8Array;
    files?: Record<string, Uint8Array>;
  } = {},
): TestArtifact {
  const { name = "dense-q8b128", weightBytes = 40_000, chunkBytes = 8_192, shared = new Uint8Array() } = options;
  const objects = new Map<Digest, Uint8Array>();
  const contents: Record<string, Uint8Array> = {
    "model.onnx": randomBytes(500),
    "model.onnx.data": Buffer.concat([shared, randomBytes(weightBytes)]),
    "tokenizer.json": Buffer.from("{}"),
    "tokenizer_config.json": Buffer.from("{}"),
    "chat.json": Buffer.from("{}"),
    "probe.json": Buffer.from("{}"),
    "report.json": Buffer.from("{}"),
    ...options.files,
  };
  const files = Object.entries(contents).map(([path, bytes]) => cut(path, bytes, chunkBytes, objects));
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const format = { bits: 32, blockSize: 0, symmetric: true, accuracyLevel: 0 } as const;
  const manifest: Manifest = {
    schemaVersion: 1,
    kind: "variant",
    name,
    modelName: "test",
    recipe: { schemaVersion: 1, pruning: { method: "none" }, quantization: { method: "none" } },
    recipeDigest: digestOfBytes(name),
    lineage: {
      modelDigest: digestOfBytes("model"),
      calibrationDigest: null,
      evaluationDigest: null,
      builderVersion: "test",
      seed: 0,
    },
    shape: {
      hiddenSize: 8,
      headSize: 4,
      vocabularySize: 16,
      contextLength: 64,
      layers: [{ heads: 2, kvHeads: 1, ffnSize: 16 }],
      linearFormat: format,
      embeddingFormat: format,
      nonEmbeddingParameters: 100,
      weightBytes,
      embeddingBytes: 0,
    },
    graph: {
      file: "model.onnx",
      version: 1,
      opset: 21,
      kvDtype: "float32",
      contextLength: 64,
      layers: [{ kvHeads: 1, headSize: 4 }],
      vocabularySize: 16,
    },
    tensors: [],
    files,
    totalBytes,
    runtime: { onnxruntime: "1.30.0", executionProviders: ["CPUExecutionProvider"] },
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  const artifactDigest = digestOfBytes(manifestBytes);
  objects.set(artifactDigest, manifestBytes);
  return { artifactDigest, manifestBytes, manifest, totalBytes, objects };
}

/** Lists bytes as a file in chunks and adds the chunks to `objects`. */
export function cut(path: string, bytes: Uint8Array, chunkBytes: number, objects: Map<Digest, Uint8Array>): FileEntry {
  const chunks: FileEntry["chunks"] = [];
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    const chunk = bytes.subarray(start, start + chunkBytes);
    const digest = digestOfBytes(chunk);
    objects.set(digest, chunk);
    chunks.push({ digest, sizeBytes: chunk.length });
  }
  return { path, sizeBytes: bytes.length, digest: digestOfBytes(bytes), chunks };
}

/** Puts objects into the artifacts bucket, packed as the coordinator packs them; creates the bucket. */
export async function putObjects(
  connection: NatsConnection,
  objects: Iterable<readonly [Digest, Uint8Array]>,
  messageBytes = 128 * 1024,
): Promise<void> {
  const store = await new Objm(connection).create(objectBuckets.artifacts);
  for (const [digest, plain] of objects) {
    const { bytes, metadata } = await packObject(plain);
    const options = { max_chunk_size: messageBytes };
    await store.putBlob({ name: hex(digest), options, ...(metadata && { metadata }) }, bytes);
  }
}
