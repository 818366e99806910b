import type { KitTiming, Sample } from "@espalier/shared/contracts/profile";
import type { KitGraphShape } from "./kit-designs.ts";
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

/** Which points of which timing tell the cost of attention; indices into a device's timings and their points. */
export interface AttentionLayout {
  timing: number;
  again: number | null;
  heads: number;
  decode: { short: number; long: number; tokens: number };
  prefill: { piece: number; long: number; pieces: number; pairs: number };
  tokens: number;
}

/** The graph timed at the longest context; null where none went beyond what its siblings were timed at. */
export function attentionLayout(
  graphs: readonly { graph: KitGraphShape; timing: number; again: number | null }[],
  timings: readonly KitTiming[],
): AttentionLayout | null {
  let longest = 0;
  let found: (typeof graphs)[number] | null = null;
  for (const candidate of graphs) {
    for (const { contextTokens } of timings[candidate.timing]?.decode ?? []) {
      if (contextTokens < longest) continue;
      found = contextTokens > longest ? candidate : null;
      longest = contextTokens;
    }
  }
  const timing = found === null ? undefined : timings[found.timing];
  if (found === null || timing === undefined) return null;
  const decode = timing.decode.map(({ contextTokens }, point) => ({ tokens: contextTokens, point }));
  const prefill = timing.prefill.map(({ promptTokens }, point) => ({ tokens: promptTokens, point }));
  const [shortDecode, longDecode] = decode.sort((a, b) => a.tokens - b.tokens).slice(-2);
  const [piece, longPrefill] = prefill.sort((a, b) => a.tokens - b.tokens).slice(-2);
  if (!shortDecode || !longDecode || !piece || !longPrefill) return null;
  return {
    timing: found.timing,
    again: found.again,
    heads: totalHeads(found.graph.shape),
    decode: { short: shortDecode.point, long: longDecode.point, tokens: longDecode.tokens - shortDecode.tokens },
    prefill: {
      piece: piece.point,
      long: longPrefill.point,
      pieces: longPrefill.tokens / piece.tokens,
      pairs: pairsWithEarlierPieces(longPrefill.tokens, piece.tokens),
    },
    tokens: longest,
  };
}

/** @param timings of a device that the layout describes */
export function fitAttention(layout: AttentionLayout, timings: readonly KitTiming[]): AttentionCost {
  const { heads, decode, prefill, tokens } = layout;
  const first = timings[layout.timing];
  const again = layout.again === null ? first : timings[layout.again];
  const mean = (a: Sample | undefined, b: Sample | undefined) => ((a?.median ?? 0) + (b?.median ?? 0)) / 2;
  const decodeMs = (point: number) => mean(first?.decode[point]?.ms, again?.decode[point]?.ms);
  const prefillMs = (point: number) => mean(first?.prefill[point]?.ms, again?.prefill[point]?.ms);
  return {
    decodeMs: Math.max(0, decodeMs(decode.long) - decodeMs(decode.short)) / decode.tokens / heads,
    prefillMs: Math.max(0, prefillMs(prefill.long) - prefill.pieces * prefillMs(prefill.piece)) / prefill.pairs / heads,
    tokens,
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
