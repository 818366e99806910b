import { posix } from "node:path";
import type { EspalierError } from "@espalier/shared/errors";
import { readCacheScales } from "./cache-scales.ts";
import { checkGraph } from "./check-graph.ts";
import { checkCount, checkTokens } from "./check-request.ts";
import { safeModelFile } from "./model-files.ts";
import { holdOrtLibrary } from "./ort-library.ts";
import type { EngineKind, GeneratedToken, GenerateRequest, Runtime, RuntimeOptions } from "./runtime.ts";
import { RuntimeWorkers } from "./runtime-workers.ts";
import { TokenStream } from "./token-stream.ts";
import { WorkerClient } from "./worker-client.ts";
import type { WorkerSetup } from "./worker-protocol.ts";

/**
 * Loads a variant's graph in a worker thread of its own. Throws an `EspalierError`: `runtime.unsafe-file` and
 * `runtime.unsafe-graph` before ONNX Runtime opens anything, `runtime.load-failed` when ONNX Runtime refuses the graph.
 * Aborting the signal rejects with its reason at once, whatever the thread is at.
 */
export async function loadRuntime(options: RuntimeOptions, signal?: AbortSignal): Promise<Runtime> {
  const { folder, graph, log, workers = new RuntimeWorkers({ mostIdle: 0 }) } = options;
  const modelFile = await safeModelFile(folder, graph.file);
  const dataFiles = new Map<string, string>();
  // A graph names its data from where it lies itself (ONNX's external data).
  for (const file of options.dataFiles ?? [`${graph.file}.data`])
    dataFiles.set(posix.relative(posix.dirname(graph.file), file), await safeModelFile(folder, file));
  await checkGraph(modelFile, graph, dataFiles);
  checkCount("threads", options.threads);
  checkCount("contextTokens", options.contextTokens);
  const capacity = Math.min(options.contextTokens, graph.contextLength);
  const cacheScales = options.kvCache === "int8" ? await readCacheScales(folder, graph) : null;
  holdOrtLibrary();

  const setup: Omit<WorkerSetup, "progress"> = {
    engineOptions: {
      modelFile,
      graph,
      threads: options.threads,
      capacity,
      spinning: options.spinning ?? false,
      kernel: options.kernel ?? "auto",
      cacheScales,
    },
    wanted: options.engine ?? "auto",
  };
  const worker = workers.take();
  const client = new WorkerClient(worker);
  const ready = await client.load(setup, signal).catch((error: unknown) => {
    workers.discard(worker);
    throw error;
  });
  if (ready.fallbackReason !== null) {
    log.warn({ reason: ready.fallbackReason }, "the model runs slower than it could");
  }
  const { engine, kernel, loadMs, cacheElementBytes } = ready;
  log.info({ modelFile, engine, kernel, loadMs, capacity }, "model loaded");
  const { vocabularySize } = graph;
  const facts = { engine, kernel, loadMs, cacheElementBytes, contextTokens: capacity, vocabularySize };
  const leave = async (): Promise<void> => {
    if (await client.close()) return workers.giveBack(worker);
    log.warn({ modelFile }, "the model's thread is given up");
    workers.discard(worker);
  };
  return new WorkerRuntime(client, facts, leave);
}

interface RuntimeFacts {
  readonly engine: EngineKind;
  readonly kernel: string | null;
  readonly loadMs: number;
  readonly cacheElementBytes: number;
  readonly contextTokens: number;
  readonly vocabularySize: number;
}

class WorkerRuntime implements Runtime {
  readonly engine: EngineKind;
  readonly kernel: string | null;
  readonly loadMs: number;
  readonly cacheElementBytes: number;
  readonly contextTokens: number;
  readonly vocabularySize: number;
  readonly crashed: Promise<EspalierError>;
  readonly #client: WorkerClient;
  readonly #leave: () => Promise<void>;
  #left: Promise<void> | null = null;

  constructor(client: WorkerClient, facts: RuntimeFacts, leave: () => Promise<void>) {
    this.#client = client;
    this.#leave = leave;
    this.crashed = client.crashed;
    this.engine = facts.engine;
    this.kernel = facts.kernel;
    this.loadMs = facts.loadMs;
    this.cacheElementBytes = facts.cacheElementBytes;
    this.contextTokens = facts.contextTokens;
    this.vocabularySize = facts.vocabularySize;
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncGenerator<GeneratedToken> {
    checkCount("maxTokens", request.maxTokens);
    checkTokens(this, request.tokens, request.maxTokens);
    const left = new AbortController();
    const stream = new TokenStream<GeneratedToken>();
    this.#client
      .call({ method: "generate", request }, AbortSignal.any([left.signal, ...(signal ? [signal] : [])]), (token) =>
        stream.push(token),
      )
      .then(
        () => stream.end(),
        (error: unknown) => stream.fail(error),
      );
    try {
      yield* stream;
    } finally {
      // A consumer that leaves its loop early lands here too: the worker stops after its current run.
      left.abort();
    }
  }

  async logitsAt(tokens: readonly number[], indices: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    checkTokens(this, tokens, 0);
    return (await this.#client.call({ method: "logitsAt", tokens, indices }, signal, ignoreToken)) as Float32Array;
  }

  async topTokens(tokens: readonly number[], signal?: AbortSignal): Promise<Int32Array> {
    checkTokens(this, tokens, 0);
    return (await this.#client.call({ method: "topTokens", tokens }, signal, ignoreToken)) as Int32Array;
  }

  async close(): Promise<void> {
    this.#left ??= this.#leave();
    await this.#left;
  }
}

const ignoreToken = (): void => {};
