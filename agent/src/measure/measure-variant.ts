import type { Digest } from "@espalier/shared/contracts/digest";
import { maxChunkBytes } from "@espalier/shared/contracts/files";
import { Manifest } from "@espalier/shared/contracts/manifest";
import type { VariantTiming } from "@espalier/shared/contracts/profile";
import { type ObtainDeps, obtainVariant } from "../download/obtain-variant.ts";
import { type LoadDeps, loadVariant } from "../update/load-variant.ts";
import type { VariantMemory } from "../update/variant-memory.ts";
import { timeGeneration } from "./time-generation.ts";

export interface MeasureVariantDeps {
  readonly obtain: ObtainDeps;
  readonly load: LoadDeps;
  readonly memory: VariantMemory;
  readonly sys: string;
}

export interface VariantTask {
  readonly artifactDigest: Digest;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

/** Times a variant by the serving path without activating it; one that had to be fetched is removed again. */
export async function measureVariant(
  { obtain, load, memory, sys }: MeasureVariantDeps,
  { artifactDigest, promptTokens, outputTokens }: VariantTask,
  signal: AbortSignal,
): Promise<VariantTiming> {
  const wasHeld = obtain.variants.has(artifactDigest);
  if (!wasHeld) {
    const manifest = await obtain.bucket.read(artifactDigest, maxChunkBytes, signal);
    const { totalBytes } = Manifest.parse(JSON.parse(new TextDecoder().decode(manifest)));
    const wanted = { artifactDigest, totalBytes, manifestBytes: manifest.length };
    await obtainVariant(obtain, wanted, () => undefined, signal);
  }
  const window = await memory.open();
  try {
    const { runtime, probe } = await loadVariant(load, artifactDigest, signal);
    try {
      const text = probe.prompts.flatMap(({ tokens }) => tokens);
      const peakMemoryBytes = (): number => window.peakAloneBytes();
      const task = { artifactDigest, runtime, text, promptTokens, outputTokens, limits: {}, peakMemoryBytes, sys };
      return await timeGeneration(task, signal);
    } finally {
      await runtime.close();
    }
  } finally {
    if (!wasHeld) await obtain.variants.remove(artifactDigest);
  }
}
