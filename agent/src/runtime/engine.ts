import type { GraphContract } from "@espalier/shared/contracts/manifest";
import type { EngineKind } from "./runtime.ts";

/**
 * Runs a graph (ARCHITECTURE.md, Graph, version 1) over a KV cache allocated once. The cache isn't versioned: a run
 * with `pastTokens` p overwrites positions p and up, so going back is free and a fresh prefill starts at 0.
 */
export interface Engine {
  readonly kind: EngineKind;
  /** Positions in the cache. */
  readonly capacity: number;
  readonly vocabularySize: number;
  /**
   * Runs `tokens` [T] on top of `pastTokens` cached positions. `rows` [R] are those of the T tokens whose logits are
   * wanted. Returns logits [R * vocabularySize], valid until the next run.
   */
  run(tokens: ArrayLike<number>, pastTokens: number, rows: ArrayLike<number>): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface EngineOptions {
  readonly modelFile: string;
  readonly graph: GraphContract;
  readonly threads: number;
  readonly capacity: number;
  readonly spinning: boolean;
}

/** Names of the cache's inputs and outputs, layer by layer, with their elements per position. */
export function cacheTensors(graph: GraphContract): { past: string; present: string; layer: number }[] {
  return graph.layers.flatMap((_, layer) =>
    ["key", "value"].map((part) => ({
      past: `past_key_values.${layer}.${part}`,
      present: `present.${layer}.${part}`,
      layer,
    })),
  );
}

/** Shape of one cache tensor: [1, kvHeads, capacity, headSize]. */
export function cacheShape(graph: GraphContract, layer: number, capacity: number): [number, number, number, number] {
  const sizes = graph.layers[layer];
  if (sizes === undefined) throw new RangeError(`the graph has no layer ${layer}`);
  return [1, sizes.kvHeads, capacity, sizes.headSize];
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
