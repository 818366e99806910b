import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { type CacheData, CacheMemory, spanData, spanShape } from "./cache-memory.ts";
import { checkSignature, type Engine, type EngineOptions } from "./engine.ts";
import type { KernelLibrary } from "./kernel-library.ts";
import type { Span } from "./kv-space.ts";
import type { CacheElements } from "./lower-attention.ts";
import { lowerGraph } from "./lower-graph.ts";
import {
  elementType,
  errorLogLevel,
  float32Buffer,
  int32Buffer,
  int64Buffer,
  type NativeBuffer,
  type OrtApi,
} from "./ort-c-api.ts";

/** Shapes of runs that stay bound on a span: decode, prefill's piece, and the two latest others. */
const maxBoundShapes = 4;

const cacheBuffers = { float32: Float32Array, float16: Uint16Array, int8: Int8Array };

/** Buffers and bindings for runs of one shape (T tokens, R rows of logits). */
interface BoundShape {
  readonly inputIds: BigInt64Array;
  readonly positions: BigInt64Array;
  readonly logits: Float32Array;
  readonly values: readonly bigint[];
  readonly binding: bigint;
}

/** One span of the cache as the graph's inputs and outputs, and what was bound for runs on it. */
interface BoundSpan {
  /** In the order of the cache's tensors. */
  readonly cacheValues: readonly bigint[];
  readonly shapes: Map<string, BoundShape>;
}

/**
 * Runs the graph through ONNX Runtime's C API. The cache's tensors are bound as input and output at once, so that
 * the attention writes new positions in place and a step copies nothing but its tokens.
 *
 * INVARIANT: every buffer handed to ONNX Runtime is referenced by this object until its value is released.
 */
export class FfiEngine implements Engine {
  readonly kind = "ffi";
  readonly kernel: string | null;
  readonly capacity: number;
  readonly cacheElementBytes: number;
  readonly vocabularySize: number;
  readonly #api: OrtApi;
  readonly #env: bigint;
  readonly #session: bigint;
  readonly #memoryInfo: bigint;
  readonly #cacheType: number;
  readonly #cache: CacheMemory<CacheData>;
  readonly #lastPosition = int32Buffer(1);
  readonly #totalTokens = int32Buffer(1);
  /** Of every run that wants one row: requests are bound one after another, and nothing hurries to collect a row of each. */
  readonly #logitsRow: Float32Array;
  readonly #lastPositionValue: bigint;
  readonly #totalTokensValue: bigint;
  readonly #bound = new Map<Span, BoundSpan>();
  #closed = false;

  private constructor(
    api: OrtApi,
    env: bigint,
    { session, kernel, cache }: OpenedSession,
    options: EngineOptions,
    kernels: KernelLibrary | null,
  ) {
    this.#api = api;
    this.#env = env;
    this.#session = session;
    this.kernel = kernel;
    this.capacity = options.capacity;
    this.cacheElementBytes = cacheBuffers[cache].BYTES_PER_ELEMENT;
    this.vocabularySize = options.graph.vocabularySize;
    this.#logitsRow = float32Buffer(this.vocabularySize);
    this.#memoryInfo = api.create("CreateCpuMemoryInfo", 0, 0);
    this.#cacheType = elementType[cache];
    this.#cache = new CacheMemory<CacheData>(options.graph, options.capacity, (elements) => {
      const memory = new cacheBuffers[cache](elements);
      kernels?.preferHugePages(memory);
      return memory;
    });
    this.#lastPositionValue = this.#tensor(this.#lastPosition, [1], elementType.int32);
    this.#totalTokensValue = this.#tensor(this.#totalTokens, [], elementType.int32);
  }

  /** Creates the session, with these kernels where the graph has work for them, and the cache. Throws what ONNX Runtime reports. */
  static open(api: OrtApi, options: EngineOptions, kernels: KernelLibrary | null): FfiEngine {
    const env = api.create("CreateEnv", errorLogLevel, "espalier");
    try {
      return new FfiEngine(api, env, createSession(api, env, options, kernels), options, kernels);
    } catch (error) {
      api.release("ReleaseEnv", env);
      throw error;
    }
  }

  async run(span: Span, tokens: ArrayLike<number>, pastTokens: number, rows: ArrayLike<number>): Promise<Float32Array> {
    const shape = this.#boundShape(this.#boundSpan(span), tokens.length, rows.length);
    for (let i = 0; i < tokens.length; i += 1) shape.inputIds[i] = BigInt(tokens[i] ?? 0);
    for (let i = 0; i < rows.length; i += 1) shape.positions[i] = BigInt(rows[i] ?? 0);
    this.#lastPosition[0] = pastTokens + tokens.length - 1;
    this.#totalTokens[0] = pastTokens + tokens.length;
    this.#api.call("RunWithBinding", this.#session, null, shape.binding);
    return shape.logits;
  }

  /** Whether a run has written into the cache's own memory. Call it after the first run. */
  wroteInPlace(): boolean {
    return this.#cache.tensors.every(({ data }) => data.some((value) => value !== 0));
  }

  move(from: Span, to: Span, held: number): void {
    this.#cache.move(from, to, held);
  }

  forget(span: Span): void {
    const bound = this.#bound.get(span);
    if (bound === undefined) return;
    this.#bound.delete(span);
    for (const shape of bound.shapes.values()) this.#releaseShape(shape);
    for (const value of bound.cacheValues) this.#api.release("ReleaseValue", value);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const span of [...this.#bound.keys()]) this.forget(span);
    this.#api.release("ReleaseValue", this.#lastPositionValue);
    this.#api.release("ReleaseValue", this.#totalTokensValue);
    this.#api.release("ReleaseMemoryInfo", this.#memoryInfo);
    this.#api.release("ReleaseSession", this.#session);
    this.#api.release("ReleaseEnv", this.#env);
  }

  #boundSpan(span: Span): BoundSpan {
    const known = this.#bound.get(span);
    if (known !== undefined) return known;
    const cacheValues = this.#cache.tensors.map((tensor) =>
      this.#tensor(spanData(tensor, span), spanShape(tensor, span), this.#cacheType),
    );
    const bound = { cacheValues, shapes: new Map<string, BoundShape>() };
    this.#bound.set(span, bound);
    return bound;
  }

  #boundShape({ cacheValues, shapes }: BoundSpan, tokens: number, rows: number): BoundShape {
    const key = `${tokens}x${rows}`;
    const known = shapes.get(key);
    if (known !== undefined) {
      shapes.delete(key);
      shapes.set(key, known);
      return known;
    }
    const [oldestKey, oldest] = shapes.entries().next().value ?? [];
    if (shapes.size >= maxBoundShapes && oldestKey !== undefined && oldest !== undefined) {
      shapes.delete(oldestKey);
      this.#releaseShape(oldest);
    }
    const shape = this.#bind(cacheValues, tokens, rows);
    shapes.set(key, shape);
    return shape;
  }

  #bind(cacheValues: readonly bigint[], tokens: number, rows: number): BoundShape {
    const api = this.#api;
    const inputIds = int64Buffer(tokens);
    const positions = int64Buffer(rows);
    const logits = rows === 1 ? this.#logitsRow : float32Buffer(rows * this.vocabularySize);
    const idsValue = this.#tensor(inputIds, [1, tokens], elementType.int64);
    const positionsValue = this.#tensor(positions, [rows], elementType.int64);
    const logitsValue = this.#tensor(logits, [1, rows, this.vocabularySize], elementType.float32);
    const binding = api.create("CreateIoBinding", this.#session);
    api.call("BindInput", binding, "input_ids", idsValue);
    api.call("BindInput", binding, "logits_positions", positionsValue);
    api.call("BindInput", binding, "seqlens_k", this.#lastPositionValue);
    api.call("BindInput", binding, "total_sequence_length", this.#totalTokensValue);
    api.call("BindOutput", binding, "logits", logitsValue);
    for (const [index, { past, present }] of this.#cache.tensors.entries()) {
      const value = cacheValues[index] ?? null;
      api.call("BindInput", binding, past, value);
      api.call("BindOutput", binding, present, value);
    }
    return { inputIds, positions, logits, binding, values: [idsValue, positionsValue, logitsValue] };
  }

  #releaseShape(shape: BoundShape): void {
    this.#api.release("ReleaseIoBinding", shape.binding);
    for (const value of shape.values) this.#api.release("ReleaseValue", value);
  }

  #tensor(buffer: NativeBuffer, shape: readonly number[], type: number): bigint {
    const dimensions = BigInt64Array.from(shape.length === 0 ? [1n] : shape.map(BigInt));
    return this.#api.create(
      "CreateTensorWithDataAsOrtValue",
      this.#memoryInfo,
      buffer,
      buffer.byteLength,
      dimensions,
      shape.length,
      type,
    );
  }
}

interface OpenedSession {
  readonly session: bigint;
  readonly kernel: string | null;
  readonly cache: CacheElements;
}

function createSession(api: OrtApi, env: bigint, options: EngineOptions, kernels: KernelLibrary | null): OpenedSession {
  const sessionOptions = api.create("CreateSessionOptions");
  try {
    const lowered = kernels === null ? null : lowerGraph(readFileSync(options.modelFile), options.cacheScales);
    const hasTeam = lowered?.isWhole === true && options.threads > 1;
    api.call("SetIntraOpNumThreads", sessionOptions, hasTeam ? 1 : options.threads);
    api.call("SetInterOpNumThreads", sessionOptions, 1);
    for (const [key, value] of Object.entries(sessionConfig(options))) {
      api.call("AddSessionConfigEntry", sessionOptions, key, value);
    }
    const create = (): bigint => {
      if (lowered === null || kernels === null)
        return api.create("CreateSession", env, options.modelFile, sessionOptions);
      kernels.register(api, sessionOptions);
      return api.create("CreateSessionFromArray", env, lowered.bytes, lowered.bytes.byteLength, sessionOptions);
    };
    const session = hasTeam && kernels !== null ? kernels.withTeam(options.threads, create) : create();
    const count = (name: "SessionGetInputCount" | "SessionGetOutputCount") => Number(api.create(name, session));
    try {
      checkSignature(options.graph, count("SessionGetInputCount"), count("SessionGetOutputCount"));
    } catch (error) {
      api.release("ReleaseSession", session);
      throw error;
    }
    return { session, kernel: lowered === null ? null : (kernels?.kernel ?? null), cache: lowered?.cache ?? "float32" };
  } finally {
    api.release("ReleaseSessionOptions", sessionOptions);
  }
}

function sessionConfig(options: EngineOptions): Record<string, string> {
  return {
    "session.intra_op.allow_spinning": options.spinning ? "1" : "0",
    // Where a graph that isn't read from a file has its weights.
    "session.model_external_initializers_file_folder_path": dirname(options.modelFile),
  };
}
