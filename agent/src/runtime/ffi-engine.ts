import { cacheShape, cacheTensors, checkSignature, type Engine, type EngineOptions } from "./engine.ts";
import { elementType, float32Buffer, int32Buffer, int64Buffer, type NativeBuffer, type OrtApi } from "./ort-c-api.ts";

/** Shapes of runs that stay bound: decode, prefill's piece, and the two latest others. */
const maxBoundShapes = 4;

/** ORT_LOGGING_LEVEL_ERROR: what fails is also thrown, warnings are about the graph and of no use on a device. */
const errorLogLevel = 3;

/** Buffers and bindings for runs of one shape (T tokens, R rows of logits). */
interface BoundShape {
  readonly inputIds: BigInt64Array;
  readonly positions: BigInt64Array;
  readonly logits: Float32Array;
  readonly values: readonly bigint[];
  readonly binding: bigint;
}

/**
 * Runs the graph through ONNX Runtime's C API. The cache's tensors are bound as input and output at once, so that
 * GroupQueryAttention writes new positions in place and a step copies nothing but its tokens.
 *
 * INVARIANT: every buffer handed to ONNX Runtime is referenced by this object until its value is released.
 */
export class FfiEngine implements Engine {
  readonly kind = "ffi";
  readonly capacity: number;
  readonly vocabularySize: number;
  readonly #api: OrtApi;
  readonly #env: bigint;
  readonly #session: bigint;
  readonly #memoryInfo: bigint;
  readonly #cache: { past: string; present: string; buffer: Float32Array; value: bigint }[];
  readonly #lastPosition = int32Buffer(1);
  readonly #totalTokens = int32Buffer(1);
  readonly #lastPositionValue: bigint;
  readonly #totalTokensValue: bigint;
  readonly #bound = new Map<string, BoundShape>();
  #closed = false;

  private constructor(api: OrtApi, env: bigint, session: bigint, options: EngineOptions) {
    this.#api = api;
    this.#env = env;
    this.#session = session;
    this.capacity = options.capacity;
    this.vocabularySize = options.graph.vocabularySize;
    this.#memoryInfo = api.create("CreateCpuMemoryInfo", 0, 0);
    this.#cache = cacheTensors(options.graph).map(({ past, present, layer }) => {
      const shape = cacheShape(options.graph, layer, options.capacity);
      // Written once so that the kernel commits it now: a device that can't hold the whole cache fails before it is
      // active and not in mid-conversation, and the measured peak is the real one.
      const buffer = float32Buffer(shape.reduce((product, size) => product * size, 1)).fill(0);
      return { past, present, buffer, value: this.#tensor(buffer, shape, elementType.float32) };
    });
    this.#lastPositionValue = this.#tensor(this.#lastPosition, [1], elementType.int32);
    this.#totalTokensValue = this.#tensor(this.#totalTokens, [], elementType.int32);
  }

  /** Creates the session and allocates the cache. Throws what ONNX Runtime reports. */
  static open(api: OrtApi, options: EngineOptions): FfiEngine {
    const env = api.create("CreateEnv", errorLogLevel, "espalier");
    try {
      return new FfiEngine(api, env, createSession(api, env, options), options);
    } catch (error) {
      api.release("ReleaseEnv", env);
      throw error;
    }
  }

  async run(tokens: ArrayLike<number>, pastTokens: number, rows: ArrayLike<number>): Promise<Float32Array> {
    const shape = this.#boundShape(tokens.length, rows.length);
    for (let i = 0; i < tokens.length; i += 1) shape.inputIds[i] = BigInt(tokens[i] ?? 0);
    for (let i = 0; i < rows.length; i += 1) shape.positions[i] = BigInt(rows[i] ?? 0);
    this.#lastPosition[0] = pastTokens + tokens.length - 1;
    this.#totalTokens[0] = pastTokens + tokens.length;
    this.#api.call("RunWithBinding", this.#session, null, shape.binding);
    return shape.logits;
  }

  /** Whether a run has written into the cache's own memory. Call it after the first run. */
  wroteInPlace(): boolean {
    return this.#cache.every(({ buffer }) => buffer.some((value) => value !== 0));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const shape of this.#bound.values()) this.#releaseShape(shape);
    for (const { value } of this.#cache) this.#api.release("ReleaseValue", value);
    this.#api.release("ReleaseValue", this.#lastPositionValue);
    this.#api.release("ReleaseValue", this.#totalTokensValue);
    this.#api.release("ReleaseMemoryInfo", this.#memoryInfo);
    this.#api.release("ReleaseSession", this.#session);
    this.#api.release("ReleaseEnv", this.#env);
  }

  #boundShape(tokens: number, rows: number): BoundShape {
    const key = `${tokens}x${rows}`;
    const known = this.#bound.get(key);
    if (known !== undefined) {
      this.#bound.delete(key);
      this.#bound.set(key, known);
      return known;
    }
    const [oldestKey, oldest] = this.#bound.entries().next().value ?? [];
    if (this.#bound.size >= maxBoundShapes && oldestKey !== undefined && oldest !== undefined) {
      this.#bound.delete(oldestKey);
      this.#releaseShape(oldest);
    }
    const shape = this.#bind(tokens, rows);
    this.#bound.set(key, shape);
    return shape;
  }

  #bind(tokens: number, rows: number): BoundShape {
    const api = this.#api;
    const inputIds = int64Buffer(tokens);
    const positions = int64Buffer(rows);
    const logits = float32Buffer(rows * this.vocabularySize);
    const idsValue = this.#tensor(inputIds, [1, tokens], elementType.int64);
    const positionsValue = this.#tensor(positions, [rows], elementType.int64);
    const logitsValue = this.#tensor(logits, [1, rows, this.vocabularySize], elementType.float32);
    const binding = api.create("CreateIoBinding", this.#session);
    api.call("BindInput", binding, "input_ids", idsValue);
    api.call("BindInput", binding, "logits_positions", positionsValue);
    api.call("BindInput", binding, "seqlens_k", this.#lastPositionValue);
    api.call("BindInput", binding, "total_sequence_length", this.#totalTokensValue);
    api.call("BindOutput", binding, "logits", logitsValue);
    for (const { past, present, value } of this.#cache) {
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

function createSession(api: OrtApi, env: bigint, options: EngineOptions): bigint {
  const sessionOptions = api.create("CreateSessionOptions");
  try {
    api.call("SetIntraOpNumThreads", sessionOptions, options.threads);
    api.call("SetInterOpNumThreads", sessionOptions, 1);
    for (const [key, value] of Object.entries(sessionConfig(options))) {
      api.call("AddSessionConfigEntry", sessionOptions, key, value);
    }
    const session = api.create("CreateSession", env, options.modelFile, sessionOptions);
    const count = (name: "SessionGetInputCount" | "SessionGetOutputCount") => Number(api.create(name, session));
    try {
      checkSignature(options.graph, count("SessionGetInputCount"), count("SessionGetOutputCount"));
    } catch (error) {
      api.release("ReleaseSession", session);
      throw error;
    }
    return session;
  } finally {
    api.release("ReleaseSessionOptions", sessionOptions);
  }
}

function sessionConfig(options: EngineOptions): Record<string, string> {
  return { "session.intra_op.allow_spinning": options.spinning ? "1" : "0" };
}
