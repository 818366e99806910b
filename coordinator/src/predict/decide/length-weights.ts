import { pairsWithEarlierPieces } from "./attention-cost.ts";
import type { FormatLayout, SeriesLayout } from "./timing-layout.ts";

/** Added where a layer's cost had to be taken from its parameters, since only one FFN size was measured (ours). */
const singleWidthUncertainty = 0.1;
/** Added per doubling of the length beyond the longest measured one (ours: attention grows faster than the line). */
const extrapolationUncertainty = 0.1;
/** How a cost at some length is made of the costs at the measured lengths. */
export interface LengthWeights {
  /** Factor of each measured length's cost. */
  weights: readonly number[];
  /** Units of attention beyond them: tokens of context (decode; below 0 where there are fewer) or pairs of tokens (prefill). */
  attention: number;
}

/** The same for a request on devices that were timed alike. */
export interface RequestWeights extends LengthWeights {
  /** What the measured graphs and lengths leave uncertain however calm the measurements were, relative. */
  systematicError: number;
}

/** The weights of one prompt and output length, by what lengths a device was timed at; kept, since a fleet's are alike. */
export interface RequestLengths {
  /** Tokens after the first. */
  steps: number;
  of(layout: FormatLayout): { decode: RequestWeights; prefill: RequestWeights };
}

/** The first token comes from prefill; token i after it is decoded with `promptTokens + i` tokens in the cache. */
export function requestLengths({
  promptTokens,
  outputTokens,
}: {
  promptTokens: number;
  outputTokens: number;
}): RequestLengths {
  const steps = Math.max(1, outputTokens - 1);
  const contexts = Array.from({ length: steps }, (_, index) => promptTokens + index + 1);
  const known = new Map<FormatLayout, { decode: RequestWeights; prefill: RequestWeights }>();
  return {
    steps,
    of(layout) {
      const before = known.get(layout);
      if (before !== undefined) return before;
      const { decode, prefill, attentionTokens } = layout;
      const lengths = (series: readonly SeriesLayout[]) => series.map(({ tokens }) => tokens);
      const asked = (series: readonly SeriesLayout[], weights: LengthWeights, longest: number) => ({
        ...weights,
        systematicError: systematicError(series, weights, longest, attentionTokens ?? 1),
      });
      const ofDecode = decodeWeights(lengths(decode), contexts, attentionTokens !== null);
      const made = {
        decode: asked(decode, ofDecode, promptTokens + steps),
        prefill: asked(prefill, prefillWeights(lengths(prefill), promptTokens), promptTokens),
      };
      known.set(layout, made);
      return made;
    },
  };
}

/**
 * The mean cost of decoding one token at each of `contexts`, from costs at `measured` lengths (ascending): linear between them.
 * Outside them attention has more or less to do. Where its cost is unknown, the last slope goes on, and below the first length the
 * cost is the first's (never optimistic).
 */
export function decodeWeights(
  measured: readonly number[],
  contexts: readonly number[],
  attentionKnown: boolean,
): LengthWeights {
  const weights = measured.map(() => 0);
  let attention = 0;
  for (const context of contexts) {
    const within = Math.min(measured.at(-1) ?? 0, Math.max(measured[0] ?? 0, context));
    if (attentionKnown) attention += (context - within) / contexts.length;
    addInterpolated(weights, measured, attentionKnown ? within : context, 1 / contexts.length);
  }
  return { weights, attention };
}

/** The cost of a prompt, which the agent processes in pieces as long as the longest of `measured` (ascending). */
export function prefillWeights(measured: readonly number[], promptTokens: number): LengthWeights {
  const weights = measured.map(() => 0);
  const piece = measured.at(-1) ?? 1;
  const whole = Math.floor(promptTokens / piece);
  const last = measured.length - 1;
  if (last >= 0) weights[last] = whole;
  const rest = promptTokens - whole * piece;
  if (rest > 0) addInterpolated(weights, measured, rest, 1);
  return { weights, attention: pairsWithEarlierPieces(promptTokens, piece) };
}

function systematicError(
  series: readonly SeriesLayout[],
  { weights }: LengthWeights,
  longest: number,
  attentionTokens: number,
): number {
  const reach = Math.max(series.at(-1)?.tokens ?? 1, attentionTokens);
  const beyond = Math.max(0, Math.log2(longest / reach)) * extrapolationUncertainty;
  const hasOneWidth = series.some(({ kind }, index) => kind === "parameters" && weights[index] !== 0);
  return beyond + (hasOneWidth ? singleWidthUncertainty : 0);
}

function addInterpolated(weights: number[], measured: readonly number[], length: number, amount: number): void {
  const add = (index: number, share: number) => {
    weights[index] = (weights[index] ?? 0) + amount * share;
  };
  const first = measured[0] ?? 0;
  if (measured.length < 2 || length <= first) {
    add(0, 1);
    return;
  }
  const next = measured.findIndex((tokens) => tokens >= length);
  const right = next === -1 ? measured.length - 1 : next;
  const from = measured[right - 1] ?? first;
  const share = (length - from) / ((measured[right] ?? first) - from);
  add(right - 1, 1 - share);
  add(right, share);
}
