import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import { type FileEntry, maxChunkBytes } from "@espalier/shared/contracts/files";
import { artifactFiles, Manifest } from "@espalier/shared/contracts/manifest";
import { EspalierError } from "@espalier/shared/errors";

/** What the vouched assignment says of the artifact; nothing that was downloaded is trusted beyond it. */
export interface ExpectedArtifact {
  readonly artifactDigest: Digest;
  readonly totalBytes: number;
}

const required = [
  artifactFiles.graph,
  artifactFiles.weights,
  artifactFiles.tokenizer,
  artifactFiles.tokenizerConfig,
  artifactFiles.chat,
  artifactFiles.probe,
];

/**
 * Reads a manifest and checks that its lengths bound the download: chunks fill their files exactly, files sum to the
 * artifact, every file is listed once and the graph and its weights are among them.
 * @throws {EspalierError} `manifest.digest`, `manifest.invalid`: this artifact can never be run
 */
export function readManifest(bytes: Uint8Array, expected: ExpectedArtifact): Manifest {
  const digest = digestOfBytes(bytes);
  if (digest !== expected.artifactDigest)
    throw new EspalierError("manifest.digest", `The manifest hashes to ${digest}, not ${expected.artifactDigest}.`, {
      fields: { artifactDigest: expected.artifactDigest },
    });
  const manifest = parse(bytes, expected.artifactDigest);
  const problems = [
    ...manifest.files.flatMap(problemsOfFile),
    ...duplicates(manifest.files.map(({ path }) => path)).map((path) => `${path} is listed twice`),
    ...required
      .filter((path) => !manifest.files.some((file) => file.path === path))
      .map((path) => `${path} is not listed`),
    ...manifest.tensors
      .filter((tensor) => !fits(tensor, manifest.files))
      .map(({ name, file }) => `tensor ${name} does not lie inside ${file}`),
  ];
  if (manifest.files.some(({ path }) => path === artifactFiles.manifest)) problems.push("it lists itself");
  const totalBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  if (totalBytes !== expected.totalBytes || totalBytes !== manifest.totalBytes)
    problems.push(
      `its files have ${totalBytes} bytes, it says ${manifest.totalBytes} and the assignment ${expected.totalBytes}`,
    );
  if (problems.length > 0) throw invalid(expected.artifactDigest, problems.slice(0, 5).join("; "));
  return manifest;
}

function parse(bytes: Uint8Array, artifactDigest: Digest): Manifest {
  try {
    return Manifest.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (error) {
    throw invalid(artifactDigest, String(error), error);
  }
}

function invalid(artifactDigest: Digest, problem: string, cause?: unknown): EspalierError {
  return new EspalierError("manifest.invalid", `The manifest of ${artifactDigest} is invalid: ${problem}.`, {
    fields: { artifactDigest },
    cause,
  });
}

/** What is wrong with a listed file; also used for kits. */
export function problemsOfFile({ path, sizeBytes, chunks }: FileEntry): string[] {
  const chunkBytes = chunks.reduce((sum, chunk) => sum + chunk.sizeBytes, 0);
  const oversize = chunks.find((chunk) => chunk.sizeBytes > maxChunkBytes);
  return [
    ...(chunkBytes === sizeBytes ? [] : [`${path} has ${sizeBytes} bytes but its chunks have ${chunkBytes}`]),
    ...(oversize === undefined ? [] : [`${path} has a chunk of ${oversize.sizeBytes} bytes, over ${maxChunkBytes}`]),
  ];
}

function fits(tensor: Manifest["tensors"][number], files: readonly FileEntry[]): boolean {
  const file = files.find(({ path }) => path === tensor.file);
  return file !== undefined && tensor.offset + tensor.sizeBytes <= file.sizeBytes;
}

function duplicates(paths: readonly string[]): string[] {
  return paths.filter((path, index) => paths.indexOf(path) !== index);
}
