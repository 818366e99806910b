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
import { loadRuntime } from "../runtime/load-runtime.ts";
import type { RuntimeLog } from "../runtime/runtime.ts";
import { fillWeights } from "./fill-weights.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { kitContextTokens, timeGraph } from "./time-graph.ts";

export interface KitDeps {
  readonly bucket: ArtifactBucket;
  /** A folder of its own, removed afterwards. */
  readonly folder: string;
  readonly threads: number;
  readonly memory: ProcessMemory;
  /** Called before each graph: what the one before left behind is not this one's. */
  readonly collectGarbage: () => Promise<void>;
  /** Graphs whose weights alone exceed this are left out: the device could never hold such a layer. */
  readonly memoryBudgetBytes: number | null;
  readonly log: RuntimeLog;
}

export interface KitResult {
  readonly kit: NonNullable<Measurements["kit"]>;
  /** Resident memory with no graph loaded but the runtime's libraries in place, which the first load brings in. */
  readonly idleBytes: number;
}

/**
 * Fetches a kit, fills each graph's weights and times it, one graph at a time.
 * @throws {EspalierError} `kit.invalid`; errors of download and runtime as they are
 */
export async function measureKit(
  deps: KitDeps,
  kitDigest: Digest,
  onProgress: (graphId: string, fraction: number) => void,
  signal: AbortSignal,
): Promise<KitResult> {
  const { bucket, folder, threads, memory, log } = deps;
  const kit = await readKit(bucket, kitDigest, signal);
  try {
    const chunks = { read: (digest: Digest, sizeBytes: number) => bucket.read(digest, sizeBytes, signal) };
    await assembleFiles(folder, kit.files, { ...chunks, has: async () => true }, signal);
    const timings: KitTiming[] = [];
    let idleBytes = 0;
    for (const [index, graph] of kit.graphs.entries()) {
      signal.throwIfAborted();
      onProgress(graph.id, index / kit.graphs.length);
      if (deps.memoryBudgetBytes !== null && graph.weightsBytes > deps.memoryBudgetBytes / 2) continue;
      const weights = join(folder, graph.weightsFile);
      await mkdir(dirname(weights), { recursive: true });
      await fillWeights(weights, graph.weightsBytes, graph.tensors, kit.floatFill);
      const contextTokens = kitContextTokens(graph.graph.contextLength);
      const options = { folder, graph: graph.graph, dataFiles: [graph.weightsFile], threads, contextTokens, log };
      // The libraries that the first load brings in belong to no graph.
      if (timings.length === 0) await (await loadRuntime(options)).close();
      await deps.collectGarbage();
      const bytesBeforeLoad = memory.residentBytes();
      if (timings.length === 0) idleBytes = bytesBeforeLoad;
      memory.openWindow();
      const runtime = await loadRuntime(options);
      try {
        timings.push(await timeGraph(graph.id, runtime, memory, bytesBeforeLoad, signal));
      } finally {
        await runtime.close();
        await rm(weights, { force: true });
      }
    }
    return { kit: { kitDigest, timings }, idleBytes };
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
