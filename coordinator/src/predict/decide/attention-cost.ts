import type { KitTiming } from "@espalier/shared/contracts/profile";
import type { KitGraphShape } from "./kit-designs.ts";
import { totalHeads } from "./layer-cost.ts";
import type { SamplePlace, SampleReader, Samples } from "./samples.ts";

/**
 * What attention costs beyond the lengths that every kit graph is timed at. It doesn't depend on the weights' format, so one
 * graph timed at a long context tells it for all. Times in ms.
 */
export interface AttentionCost {
  /** Per token in the cache and head, of decoding one token. */
  decodeMs: number;
  /** Per pair of a prompt's token with one before it, and head. */
  prefillMs: number;
}

/** Which samples tell the cost of attention. */
export interface AttentionLayout {
  heads: number;
  decode: { short: SamplePlace; long: SamplePlace; tokens: number };
  prefill: { piece: SamplePlace; long: SamplePlace; pieces: number; pairs: number };
  /** The longest context. */
  tokens: number;
}

/** The graph timed at the longest context; null where none went beyond what its siblings were timed at. */
export function attentionLayout(
  graphs: readonly { graph: KitGraphShape; timing: number; again: number | null }[],
  timings: readonly KitTiming[],
  samples: SampleReader,
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
  const visits = found;
  const decodePlace = ({ point }: { point: number }) => samples.place("decode", visits, point);
  const prefillPlace = ({ point }: { point: number }) => samples.place("prefill", visits, point);
  return {
    heads: totalHeads(found.graph.shape),
    decode: {
      short: decodePlace(shortDecode),
      long: decodePlace(longDecode),
      tokens: longDecode.tokens - shortDecode.tokens,
    },
    prefill: {
      piece: prefillPlace(piece),
      long: prefillPlace(longPrefill),
      pieces: longPrefill.tokens / piece.tokens,
      pairs: pairsWithEarlierPieces(longPrefill.tokens, piece.tokens),
    },
    tokens: longest,
  };
}

export function fitAttention(
  { heads, decode, prefill }: AttentionLayout,
  samples: Pick<SampleReader, "decode" | "prefill">,
): AttentionCost {
  const decodeMs = (place: SamplePlace) => meanMedian(samples.decode, place);
  const prefillMs = (place: SamplePlace) => meanMedian(samples.prefill, place);
  return {
    decodeMs: Math.max(0, decodeMs(decode.long) - decodeMs(decode.short)) / decode.tokens / heads,
    prefillMs: Math.max(0, prefillMs(prefill.long) - prefill.pieces * prefillMs(prefill.piece)) / prefill.pairs / heads,
  };
}

function meanMedian({ medians }: Samples, { sample, again }: SamplePlace): number {
  return ((medians[sample] ?? 0) + (medians[again ?? sample] ?? 0)) / 2;
}

/** Pairs of a prompt's token with a token of an earlier piece: what processing in pieces adds to the pieces' own cost. */
export function pairsWithEarlierPieces(promptTokens: number, pieceTokens: number): number {
  let pairs = 0;
  for (let past = pieceTokens; past < promptTokens; past += pieceTokens) {
    pairs += past * Math.min(pieceTokens, promptTokens - past);
  }
  return pairs;
}
