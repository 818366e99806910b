import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Digest } from "@espalier/shared/contracts/digest";
import { maxChunkBytes } from "@espalier/shared/contracts/files";
import { Kit } from "@espalier/shared/contracts/kit";
import type { KitTiming, Measurements } from "@espalier/shared/contracts/profile";
import { EspalierError } from "@espalier/shared/errors";
import type { ArtifactBucket } from "../download/artifact-bucket.ts";
import { assembleFiles } from "../download/assemble.ts";
import { problemsOfFile } from "../download/manifest-check.ts";
import { fillWeights } from "./fill-weights.ts";
import { orderVisits } from "./kit-visits.ts";
import { timeGraphApart } from "./time-graph-apart.ts";

export interface KitDeps {
  readonly bucket: ArtifactBucket;
  /** A folder of its own, removed afterwards. */
  readonly folder: string;
  readonly threads: number;
  readonly spinning: boolean;
  /** Graphs whose weights alone exceed half of this are left out: the device could never hold such a layer. */
  readonly memoryBudgetBytes: number | null;
  /** For so long the largest graph is kept busy after it was timed; 0: not. */
  readonly sustainedSeconds: number;
  /** `/sys`, where energy counters are. */
  readonly sys: string;
}

/** For all visits to graphs together, so that the whole suite stays under a minute on a slow device; what is needed may take longer. */
const kitMs = 45_000;

/**
 * Fetches a kit, fills each graph's weights and times it, one graph at a time and in a process of its own, as often as there is
 * time (`kit-visits.ts`).
 * @throws {EspalierError} `kit.invalid`; errors of download and runtime as they are
 */
export async function measureKit(
  deps: KitDeps,
  kitDigest: Digest,
  onProgress: (graphId: string, fraction: number) => void,
  signal: AbortSignal,
): Promise<NonNullable<Measurements["kit"]>> {
  const { bucket, folder, threads, spinning } = deps;
  const kit = await readKit(bucket, kitDigest, signal);
  try {
    const chunks = { read: (digest: Digest, sizeBytes: number) => bucket.read(digest, sizeBytes, signal) };
    await assembleFiles(folder, kit.files, { ...chunks, has: async () => true }, signal);
    const fitting = kit.graphs.filter(
      ({ weightsBytes }) => deps.memoryBudgetBytes === null || weightsBytes <= deps.memoryBudgetBytes / 2,
    );
    const largest = [...fitting].sort((a, b) => b.weightsBytes - a.weightsBytes)[0]?.id;
    const { order, needed, longId } = orderVisits(fitting);
    const timings: KitTiming[] = [];
    const startMs = performance.now();
    for (const [index, { id, graph, weightsFile, weightsBytes, tensors }] of order.entries()) {
      signal.throwIfAborted();
      const startedAtMs = Date.now();
      const takenMs = performance.now() - startMs;
      const leftMs = kitMs + 1000 * deps.sustainedSeconds - takenMs;
      // A visit takes about what those before took.
      if (index >= needed && leftMs < takenMs / index) break;
      onProgress(id, index / order.length);
      const weights = join(folder, weightsFile);
      await mkdir(dirname(weights), { recursive: true });
      await fillWeights(weights, weightsBytes, tensors, kit.floatFill);
      const sustainedSeconds = id === largest && index < fitting.length ? deps.sustainedSeconds : 0;
      const graphTask = { graphId: id, folder, graph, weightsFile, threads, spinning, long: id === longId };
      // What a quick graph leaves of its share is the others'.
      const limits = { startedAtMs, limitMs: Math.max(0, leftMs) / (order.length - index), sustainedSeconds };
      timings.push(await timeGraphApart({ ...graphTask, ...limits, sys: deps.sys }, signal));
      await rm(weights, { force: true });
    }
    return { kitDigest, timings };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readKit(bucket: ArtifactBucket, kitDigest: Digest, signal: AbortSignal): Promise<Kit> {
  const bytes = await bucket.read(kitDigest, maxChunkBytes, signal);
  let kit: Kit;
  try {
    kit = Kit.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    throw new EspalierError("kit.invalid", `Kit ${kitDigest} is invalid: ${String(cause)}`, {
      fields: { kitDigest },
      cause,
    });
  }
  const problems = kit.files.flatMap(problemsOfFile);
  if (problems.length > 0)
    throw new EspalierError("kit.invalid", `Kit ${kitDigest} is invalid: ${problems.join("; ")}`, {
      fields: { kitDigest },
    });
  return kit;
}
