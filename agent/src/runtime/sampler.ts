import { seededRandom } from "./random.ts";
import { argmax, descending, greatest } from "./ranking.ts";
import type { Sampling } from "./sampling.ts";

/**
 * Chooses tokens for one request. Order of the steps: bias, penalties, temperature, top-k (Fan et al. 2018), top-p
 * (Holtzman et al. 2020), min-p (Nguyen et al. 2024), draw.
 */
export class Sampler {
  readonly #sampling: Sampling;
  readonly #seen: Set<number>;
  /** How often the answer has each of its tokens. */
  readonly #answered = new Map<number, number>();
  readonly #random: () => number;

  constructor(sampling: Sampling, prompt: readonly number[]) {
    this.#sampling = sampling;
    this.#seen = new Set(sampling.repetitionPenalty === 1 ? [] : prompt);
    this.#random = seededRandom(sampling.seed);
  }

  /** The next token. `logits` [vocabulary] is changed in place. */
  next(logits: Float32Array): number {
    for (const [id, bias] of this.#sampling.logitBias) add(logits, id, bias);
    this.#penalize(logits);
    const token = this.#sampling.temperature === 0 ? argmax(logits) : this.#draw(logits);
    if (this.#sampling.repetitionPenalty !== 1) this.#seen.add(token);
    this.#answered.set(token, (this.#answered.get(token) ?? 0) + 1);
    return token;
  }

  #penalize(logits: Float32Array): void {
    const { repetitionPenalty, frequencyPenalty, presencePenalty } = this.#sampling;
    for (const id of this.#seen) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    }
    if (frequencyPenalty === 0 && presencePenalty === 0) return;
    for (const [id, count] of this.#answered) add(logits, id, -(presencePenalty + count * frequencyPenalty));
  }

  #draw(logits: Float32Array): number {
    const weights = softmaxWeights(logits, this.#sampling.temperature);
    const kept = keptIds(weights, this.#sampling);
    let total = 0;
    for (const id of kept) total += weights[id] ?? 0;
    let left = this.#random() * total;
    let last = kept[0] ?? 0;
    for (const id of kept) {
      const weight = weights[id] ?? 0;
      left -= weight;
      if (left < 0) return id;
      if (weight > 0) last = id;
    }
    // Rounding can leave a remainder; the draw then belongs to the last one that can be drawn at all.
    return last;
  }
}

function add(logits: Float32Array, id: number, value: number): void {
  const logit = logits[id];
  if (logit !== undefined) logits[id] = logit + value;
}

/** Overwrites logits by exp((logit - max) / temperature) and returns them: probabilities up to a factor, 1 at most. */
function softmaxWeights(logits: Float32Array, temperature: number): Float32Array {
  const highest = logits[argmax(logits)] ?? 0;
  for (let i = 0; i < logits.length; i += 1) logits[i] = Math.exp(((logits[i] ?? 0) - highest) / temperature);
  return logits;
}

/** Ids that top-k, top-p and min-p leave. In descending weight where one of the first two is on, else in order. */
function keptIds(weights: Float32Array, { topK, topP, minP }: Sampling): readonly number[] {
  // The greatest weight is 1, so min-p is a bound on weights as they are.
  const limited = topK > 0 ? greatest(weights, topK) : null;
  const nucleus = topP === 1 ? limited : nucleusOf(weights, topP, limited);
  if (nucleus !== null) return minP === 0 ? nucleus : nucleus.filter((id) => (weights[id] ?? 0) >= minP);
  return idsOfAtLeast(weights, minP);
}

/** The least number of ids, in descending weight, that reach the share `topP` of `limited` (null: of all). */
function nucleusOf(weights: Float32Array, topP: number, limited: readonly number[] | null): number[] {
  let total = 0;
  if (limited === null) for (const weight of weights) total += weight;
  else for (const id of limited) total += weights[id] ?? 0;
  // What weighs less than the tail's share spread over all ids can't be in the nucleus: sorting the rest is exact.
  const ranked = limited ?? idsOfAtLeast(weights, (total * (1 - topP)) / weights.length).sort(descending(weights));
  let sum = 0;
  let kept = 0;
  while (kept < ranked.length && sum < topP * total) {
    sum += weights[ranked[kept] ?? 0] ?? 0;
    kept += 1;
  }
  return ranked.slice(0, Math.max(1, kept));
}

function idsOfAtLeast(weights: Float32Array, floor: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < weights.length; id += 1) if ((weights[id] ?? 0) >= floor) ids.push(id);
  return ids;
}
