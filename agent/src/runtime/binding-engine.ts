import { InferenceSession, Tensor } from "onnxruntime-node";
import { CacheMemory, spanData, spanShape } from "./cache-memory.ts";
import { checkSignature, type Engine, type EngineOptions } from "./engine.ts";
import type { Span } from "./kv-space.ts";

/**
 * Runs the graph through onnxruntime-node's own binding. The cache is written in place too, but the binding copies
 * every output back into fresh memory: slower with each position of capacity. For machines where foreign calls fail.
 */
export class BindingEngine implements Engine {
  readonly kind = "binding";
  readonly kernel = null;
  readonly capacity: number;
  readonly cacheElementBytes = Float32Array.BYTES_PER_ELEMENT;
  readonly vocabularySize: number;
  readonly #session: InferenceSession;
  readonly #cache: CacheMemory<Float32Array>;
  /** The cache's tensors of each span, as inputs and as outputs. */
  readonly #bound = new Map<Span, { past: Record<string, Tensor>; present: Record<string, Tensor> }>();

  private constructor(session: InferenceSession, options: EngineOptions) {
    this.#session = session;
    this.capacity = options.capacity;
    this.vocabularySize = options.graph.vocabularySize;
    this.#cache = new CacheMemory(options.graph, options.capacity, (elements) => new Float32Array(elements));
  }

  static async open(options: EngineOptions): Promise<BindingEngine> {
    const session = await InferenceSession.create(options.modelFile, {
      executionProviders: ["cpu"],
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      extra: { session: { intra_op: { allow_spinning: options.spinning ? "1" : "0" } } },
    });
    checkSignature(options.graph, session.inputNames.length, session.outputNames.length);
    return new BindingEngine(session, options);
  }

  async run(span: Span, tokens: ArrayLike<number>, pastTokens: number, rows: ArrayLike<number>): Promise<Float32Array> {
    const { past, present } = this.#tensors(span);
    const total = pastTokens + tokens.length;
    const results = await this.#session.run(
      {
        input_ids: new Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
        logits_positions: new Tensor("int64", BigInt64Array.from(rows, BigInt), [rows.length]),
        seqlens_k: new Tensor("int32", Int32Array.of(total - 1), [1]),
        total_sequence_length: new Tensor("int32", Int32Array.of(total), []),
        ...past,
      },
      { logits: null, ...present },
    );
    const logits = results["logits"]?.data;
    if (!(logits instanceof Float32Array)) throw new Error("the graph gave no float32 logits");
    return logits;
  }

  move(from: Span, to: Span, held: number): void {
    this.#cache.move(from, to, held);
  }

  forget(span: Span): void {
    this.#bound.delete(span);
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  #tensors(span: Span): { past: Record<string, Tensor>; present: Record<string, Tensor> } {
    const known = this.#bound.get(span);
    if (known !== undefined) return known;
    const tensors = this.#cache.tensors.map((tensor) => ({
      ...tensor,
      value: new Tensor("float32", spanData(tensor, span), spanShape(tensor, span)),
    }));
    const bound = {
      past: Object.fromEntries(tensors.map(({ past, value }) => [past, value])),
      present: Object.fromEntries(tensors.map(({ present, value }) => [present, value])),
    };
    this.#bound.set(span, bound);
    return bound;
  }
}
