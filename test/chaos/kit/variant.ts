import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Assignment, Generation } from "@espalier/shared/contracts/assignment";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import { artifactFiles, type Manifest } from "@espalier/shared/contracts/manifest";
import { cut } from "../../../agent/src/testing/artifact.ts";
import { type TinyRecipe, tinyArtifact } from "../../fixtures/tiny-artifact.ts";

/** An artifact as objects of the bucket: the manifest and all chunks. */
export interface ChaosVariant {
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly objects: ReadonlyMap<Digest, Uint8Array>;
}

/** Small chunks, so that a download of the tiny model has many points at which it can be hit. */
const chunkBytes = 64 * 1024;

/** The tiny model by a recipe, cut into small chunks; `edit` changes files' contents before, to make a bad artifact. */
export async function tinyVariant(
  recipe: TinyRecipe,
  edit: (files: Map<string, Uint8Array>) => void = () => undefined,
): Promise<ChaosVariant> {
  const { folder, manifest } = await tinyArtifact(recipe);
  const contents = new Map<string, Uint8Array>();
  for (const { path } of manifest.files) contents.set(path, await readFile(join(folder, path)));
  edit(contents);
  const objects = new Map<Digest, Uint8Array>();
  const files = [...contents].map(([path, bytes]) => cut(path, bytes, chunkBytes, objects));
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  return withManifest({ ...manifest, files, totalBytes }, objects);
}

/** The variant that a (perhaps lying) manifest describes. */
export function withManifest(manifest: Manifest, chunks: ReadonlyMap<Digest, Uint8Array>): ChaosVariant {
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  const digest = digestOfBytes(manifestBytes);
  return { digest, manifest, manifestBytes, objects: new Map([...chunks, [digest, manifestBytes]]) };
}

/** The chunks of the weights, in file order. */
export function weightChunks({ manifest }: ChaosVariant): Digest[] {
  const weights = manifest.files.find(({ path }) => path === artifactFiles.weights);
  return (weights?.chunks ?? []).map(({ digest }) => digest);
}

export function assignmentOf(deviceId: string, generation: Generation, variant: ChaosVariant): Assignment {
  return {
    schemaVersion: 1,
    deviceId,
    generation,
    rolloutId: null,
    variant: {
      artifactDigest: variant.digest,
      name: variant.manifest.name,
      modelName: "tiny",
      manifestBytes: variant.manifestBytes.length,
      totalBytes: variant.manifest.totalBytes,
      timing: { promptTokens: 8, outputTokens: 4 },
    },
    issuedAtMs: 0,
  };
}
