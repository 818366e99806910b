import { performance } from "node:perf_hooks";
import type { Digest } from "@espalier/shared/contracts/digest";
import { maxChunkBytes } from "@espalier/shared/contracts/files";
import type { Sample } from "@espalier/shared/contracts/profile";
import type { ArtifactBucket } from "../download/artifact-bucket.ts";
import { summarize } from "./sample.ts";

const maxPasses = 3;
const enoughMs = 4_000;
const objectsInFlight = 2;

/** Bytes per second over the path that variants take: the objects are fetched, verified and discarded. */
export async function measureDownload(
  bucket: ArtifactBucket,
  digests: readonly Digest[],
  signal: AbortSignal,
): Promise<Sample> {
  const rates: number[] = [];
  const startedMs = performance.now();
  for (let pass = 0; pass < maxPasses; pass++) {
    const startMs = performance.now();
    const queue = digests.values();
    let bytes = 0;
    const worker = async (): Promise<void> => {
      for (const digest of queue) bytes += (await bucket.read(digest, maxChunkBytes, signal)).length;
    };
    await Promise.all(Array.from({ length: objectsInFlight }, worker));
    rates.push((bytes / (performance.now() - startMs)) * 1000);
    if (performance.now() - startedMs > enoughMs) break;
  }
  return summarize(rates);
}
