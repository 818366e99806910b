import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "@espalier/shared/contracts/digest";
import { artifactFiles, type Manifest, Probe } from "@espalier/shared/contracts/manifest";
import { EspalierError } from "@espalier/shared/errors";
import { checkPlainFiles } from "../download/assemble.ts";
import type { VariantStore } from "../download/variant-store.ts";
import { loadRuntime } from "../runtime/load-runtime.ts";
import type { Runtime, RuntimeLog } from "../runtime/runtime.ts";
import type { RuntimeWorkers } from "../runtime/runtime-workers.ts";
import { loadTokenizer, type TextTokenizer } from "../text/tokenizer.ts";

export interface LoadDeps {
  readonly variants: VariantStore;
  readonly threads: number;
  readonly spinning: boolean;
  /** Capacity of the KV cache, at most the model's context. */
  readonly contextTokens: number;
  readonly workers: RuntimeWorkers;
  readonly log: RuntimeLog;
}

export interface LoadedVariant {
  readonly manifest: Manifest;
  readonly runtime: Runtime;
  readonly tokenizer: TextTokenizer;
  readonly probe: Probe;
}

/**
 * Loads a held variant beside whatever runs.
 * @throws the signal's reason, {EspalierError} `variant.not-held`, `file.unsafe`, and the errors of tokenizer and runtime
 */
export async function loadVariant(deps: LoadDeps, artifactDigest: Digest, signal: AbortSignal): Promise<LoadedVariant> {
  const { variants, threads, spinning, contextTokens, workers, log } = deps;
  const manifest = variants.manifest(artifactDigest);
  if (manifest === undefined)
    throw new EspalierError("variant.not-held", `Variant ${artifactDigest} is not on disk.`, {
      fields: { artifactDigest },
    });
  const folder = variants.folder(artifactDigest);
  await checkPlainFiles(folder, manifest.files);
  const probe = Probe.parse(JSON.parse(await readFile(join(folder, artifactFiles.probe), "utf8")));
  const tokenizer = await loadTokenizer(folder);
  const dataFiles = [...new Set([artifactFiles.weights, ...manifest.tensors.map(({ file }) => file)])];
  const { graph, kvCache } = manifest;
  const runtime = await loadRuntime(
    { folder, graph, kvCache, dataFiles, threads, spinning, contextTokens, workers, log },
    signal,
  );
  return { manifest, runtime, tokenizer, probe };
}
