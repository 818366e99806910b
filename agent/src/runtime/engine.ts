import type { GraphContract } from "@espalier/shared/contracts/manifest";
import type { CacheScales } from "./cache-scales.ts";
import type { Span } from "./kv-space.ts";
import type { EngineKind } from "./runtime.ts";

/**
 * Runs a graph (ARCHITECTURE.md, Graph, version 1) over a KV cache allocated once, of which each sequence has a span. The
 * cache isn't versioned: a run with `pastTokens` p overwrites positions p and up, so going back is free and a fresh
 * prefill starts at 0.
 */
export interface Engine {
  readonly kind: EngineKind;
  /** What multiplies with quantized weights: one of the agent's kernels, or null for ONNX Runtime's own. */
  readonly kernel: string | null;
  /** Positions in the whole cache. */
  readonly capacity: number;
  /** Bytes of one number in the cache. */
  readonly cacheElementBytes: number;
  readonly vocabularySize: number;
  /**
   * Runs `tokens` [T] on top of `pastTokens` cached positions of a span. `rows` [R] are those of the T tokens whose logits
   * are wanted. Returns logits [R * vocabularySize], valid until the next run.
   */
  run(span: Span, tokens: ArrayLike<number>, pastTokens: number, rows: ArrayLike<number>): Promise<Float32Array>;
  /** Copies the first `held` positions of a span to another one, which may overlap it. */
  move(from: Span, to: Span, held: number): void;
  /** Lets go of what is kept for runs on a span that is given up. */
  forget(span: Span): void;
  close(): Promise<void>;
}

export interface EngineOptions {
  readonly modelFile: string;
  readonly graph: GraphContract;
  readonly threads: number;
  readonly capacity: number;
  readonly spinning: boolean;
  /** `auto`: the agent's fastest kernel where its probe succeeds. `stock`: ONNX Runtime's own. Else the kernel of this name. */
  readonly kernel: string;
  /** For a cache of int8, where kernels that know one serve; null where the artifact has none. */
  readonly cacheScales: CacheScales | null;
}

/** Throws when the session's inputs and outputs are not those of a graph with this many layers. */
export function checkSignature(graph: GraphContract, inputs: number, outputs: number): void {
  const cacheCount = 2 * graph.layers.length;
  const [expectedInputs, expectedOutputs] = [4 + cacheCount, 1 + cacheCount];
  if (inputs === expectedInputs && outputs === expectedOutputs) return;
  throw new Error(
    `the graph has ${inputs} inputs and ${outputs} outputs, but ${graph.layers.length} layers make ` +
      `${expectedInputs} and ${expectedOutputs}`,
  );
}
