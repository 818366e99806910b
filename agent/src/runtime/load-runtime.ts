import { posix } from "node:path";
import { Worker } from "node:worker_threads";
import { checkGraph } from "./check-graph.ts";
import { checkCount, checkRoom, checkTokens } from "./check-request.ts";
import { safeModelFile } from "./model-files.ts";
import { holdOrtLibrary } from "./ort-library.ts";
import type {
  EngineKind,
  GeneratedToken,
  GenerateRequest,
  Runtime,
  RuntimeOptions,
  TimeStepsRequest,
} from "./runtime.ts";
import { runtimeError } from "./runtime-error.ts";
import { TokenStream } from "./token-stream.ts";
import { trimMemory } from "./trim-memory.ts";
import { WorkerClient } from "./worker-client.ts";
import type { FromWorker, WorkerSetup } from "./worker-protocol.ts";

/**
 * Loads a variant's graph in a worker thread of its own. Throws an `EspalierError`: `runtime.unsafe-file` and
 * `runtime.unsafe-graph` before ONNX Runtime opens anything, `runtime.load-failed` when ONNX Runtime refuses the graph.
 */
export async function loadRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { folder, graph, log } = options;
  const modelFile = await safeModelFile(folder, graph.file);
  const dataFiles = new Map<string, string>();
  // A graph names its data from where it lies itself (ONNX's external data).
  for (const file of options.dataFiles ?? [`${graph.file}.data`])
    dataFiles.set(posix.relative(posix.dirname(graph.file), file), await safeModelFile(folder, file));
  await checkGraph(modelFile, graph, dataFiles);
  checkCount("threads", options.threads);
  checkCount("contextTokens", options.contextTokens);
  const capacity = Math.min(options.contextTokens, graph.contextLength);
  holdOrtLibrary();

  const setup: WorkerSetup = {
    engineOptions: {
      modelFile,
      graph,
      threads: options.threads,
      capacity,
      spinning: options.spinning ?? false,
      kernel: options.kernel ?? "auto",
    },
    wanted: options.engine ?? "auto",
  };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: setup, resourceLimits });
  const ready = await firstMessage(worker);
  if (ready.fallbackReason !== null) {
    log.warn({ reason: ready.fallbackReason }, "the model runs slower than it could");
  }
  const { engine, kernel, loadMs } = ready;
  log.info({ modelFile, engine, kernel, loadMs, capacity }, "model loaded");
  return new WorkerRuntime(new WorkerClient(worker), {
    engine,
    kernel,
    loadMs,
    contextTokens: capacity,
    vocabularySize: graph.vocabularySize,
  });
}

/** The worker's own heap is small: logits, cache and weights lie outside of it. */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 };

interface RuntimeFacts {
  readonly engine: EngineKind;
  readonly kernel: string | null;
  readonly loadMs: number;
  readonly contextTokens: number;
  readonly vocabularySize: number;
}

class WorkerRuntime implements Runtime {
  readonly engine: EngineKind;
  readonly kernel: string | null;
  readonly loadMs: number;
  readonly contextTokens: number;
  readonly vocabularySize: number;
  readonly #client: WorkerClient;

  constructor(client: WorkerClient, facts: RuntimeFacts) {
    this.#client = client;
    this.engine = facts.engine;
    this.kernel = facts.kernel;
    this.loadMs = facts.loadMs;
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

  async timeSteps(request: TimeStepsRequest, signal?: AbortSignal): Promise<number[]> {
    checkCount("newTokens", request.newTokens);
    checkCount("repetitions", request.repetitions);
    checkRoom(this, request.contextTokens, request.newTokens);
    return (await this.#client.call({ method: "timeSteps", request }, signal, ignoreToken)) as number[];
  }

  async close(): Promise<void> {
    await this.#client.close();
    trimMemory();
  }
}

const ignoreToken = (): void => {};

/** The worker's first message; rejects when it could not load or died. */
function firstMessage(worker: Worker): Promise<Extract<FromWorker, { kind: "ready" }>> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      worker.off("exit", onExit);
      act();
    };
    const onMessage = (message: FromWorker): void => {
      if (message.kind === "ready") settle(() => resolve(message));
      else if (message.kind === "load-failed") {
        settle(() => reject(runtimeError("runtime.load-failed", message.message)));
      }
    };
    const onError = (cause: Error): void =>
      settle(() => reject(runtimeError("runtime.crashed", `The model's worker died: ${cause.message}`, { cause })));
    const onExit = (code: number): void => onError(new Error(`exit code ${code}`));
    worker.on("message", onMessage);
    worker.on("error", onError);
    worker.on("exit", onExit);
  });
}
