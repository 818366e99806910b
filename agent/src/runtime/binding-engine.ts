import { InferenceSession, Tensor } from "onnxruntime-node";
import { cacheShape, cacheTensors, checkSignature, type Engine, type EngineOptions } from "./engine.ts";

/**
 * Runs the graph through onnxruntime-node's own binding. The cache is written in place too, but the binding copies
 * every output back into fresh memory: slower with each position of capacity. For machines where foreign calls fail.
 */
export class BindingEngine implements Engine {
  readonly kind = "binding";
  readonly capacity: number;
  readonly vocabularySize: number;
  readonly #session: InferenceSession;
  readonly #past: Record<string, Tensor> = {};
  readonly #present: Record<string, Tensor> = {};

  private constructor(session: InferenceSession, options: EngineOptions) {
    this.#session = session;
    this.capacity = options.capacity;
    this.vocabularySize = options.graph.vocabularySize;
    for (const { past, present, layer } of cacheTensors(options.graph)) {
      const shape = cacheShape(options.graph, layer, options.capacity);
      const size = shape.reduce((product, length) => product * length, 1);
      const tensor = new Tensor("float32", new Float32Array(size).fill(0), shape);
      this.#past[past] = tensor;
      this.#present[present] = tensor;
    }
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

  async run(tokens: ArrayLike<number>, pastTokens: number, rows: ArrayLike<number>): Promise<Float32Array> {
    const total = pastTokens + tokens.length;
    const results = await this.#session.run(
      {
        input_ids: new Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
        logits_positions: new Tensor("int64", BigInt64Array.from(rows, BigInt), [rows.length]),
        seqlens_k: new Tensor("int32", Int32Array.of(total - 1), [1]),
        total_sequence_length: new Tensor("int32", Int32Array.of(total), []),
        ...this.#past,
      },
      { logits: null, ...this.#present },
    );
    const logits = results["logits"]?.data;
    if (!(logits instanceof Float32Array)) throw new Error("the graph gave no float32 logits");
    return logits;
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
