import type { KitRun } from "./device-model.ts";
import { totalHeads } from "./layer-cost.ts";

/**
 * What attention costs beyond the lengths that every kit graph is timed at. It doesn't depend on the weights' format, so one
 * graph timed at a long context tells it for all. Times in ms.
 */
export interface AttentionCost {
  /** Per token in the cache and head, of decoding one token. */
  decodeMs: number;
  /** Per pair of a prompt's token with one before it, and head. */
  prefillMs: number;
  /** The longest context that was timed. */
  tokens: number;
}

/** From the graph timed at the longest context; null where none went beyond what its siblings were timed at. */
export function fitAttention(runs: readonly KitRun[]): AttentionCost | null {
  let longest = 0;
  let run: KitRun | null = null;
  for (const candidate of runs) {
    for (const { contextTokens } of candidate.timing.decode) {
      if (contextTokens < longest) continue;
      run = contextTokens > longest ? candidate : null;
      longest = contextTokens;
    }
  }
  if (run === null) return null;
  const decode = [...run.timing.decode].sort((a, b) => a.contextTokens - b.contextTokens);
  const prefill = [...run.timing.prefill].sort((a, b) => a.promptTokens - b.promptTokens);
  const [shortDecode, longDecode] = decode.slice(-2);
  const [piece, longPrefill] = prefill.slice(-2);
  if (!shortDecode || !longDecode || !piece || !longPrefill) return null;
  const heads = totalHeads(run.graph.shape);
  const decodeTokens = longDecode.contextTokens - shortDecode.contextTokens;
  const pieces = longPrefill.promptTokens / piece.promptTokens;
  const pairs = pairsWithEarlierPieces(longPrefill.promptTokens, piece.promptTokens);
  return {
    decodeMs: Math.max(0, longDecode.ms.median - shortDecode.ms.median) / decodeTokens / heads,
    prefillMs: Math.max(0, longPrefill.ms.median - pieces * piece.ms.median) / pairs / heads,
    tokens: longest,
  };
}

/** Pairs of a prompt's token with a token of an earlier piece: what processing in pieces adds to the pieces' own cost. */
export function pairsWithEarlierPieces(promptTokens: number, pieceTokens: number): number {
  let pairs = 0;
  for (let past = pieceTokens; past < promptTokens; past += pieceTokens) {
    pairs += past * Math.min(pieceTokens, promptTokens - past);
  }
  return pairs;
}
