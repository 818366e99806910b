import { seededRandom } from "./random.ts";
import type { Sampling } from "./sampling.ts";

/** Index of the greatest of `count` values from `offset`; the lowest index among equals. */
export function argmax(values: Float32Array, offset = 0, count = values.length - offset): number {
  let best = 0;
  let bestValue = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i += 1) {
    const value = values[offset + i] ?? Number.NEGATIVE_INFINITY;
    if (value > bestValue) {
      best = i;
      bestValue = value;
    }
  }
  return best;
}

/**
 * Chooses tokens for one request. Order of the steps: repetition penalty (Keskar et al. 2019), temperature, top-k
 * (Fan et al. 2018), top-p (Holtzman et al. 2020), draw.
 */
export class Sampler {
  readonly #sampling: Sampling;
  readonly #seen: Set<number>;
  readonly #random: () => number;

  constructor(sampling: Sampling, prompt: readonly number[]) {
    this.#sampling = sampling;
    this.#seen = new Set(sampling.repetitionPenalty === 1 ? [] : prompt);
    this.#random = seededRandom(sampling.seed);
  }

  /** The next token. `logits` [vocabulary] is changed in place. */
  next(logits: Float32Array): number {
    penalize(logits, this.#seen, this.#sampling.repetitionPenalty);
    const token = this.#sampling.temperature === 0 ? argmax(logits) : this.#draw(logits);
    if (this.#sampling.repetitionPenalty !== 1) this.#seen.add(token);
    return token;
  }

  #draw(logits: Float32Array): number {
    const { temperature, topK, topP } = this.#sampling;
    const weights = softmaxWeights(logits, temperature);
    const candidates = nucleus(weights, topK, topP);
    let total = 0;
    for (const id of candidates) total += weights[id] ?? 0;
    let left = this.#random() * total;
    for (const id of candidates) {
      left -= weights[id] ?? 0;
      if (left < 0) return id;
    }
    // Rounding can leave a remainder; the draw then belongs to the last candidate.
    return candidates[candidates.length - 1] ?? 0;
  }
}

function penalize(logits: Float32Array, seen: ReadonlySet<number>, penalty: number): void {
  if (penalty === 1) return;
  for (const id of seen) {
    const logit = logits[id];
    if (logit !== undefined) logits[id] = logit > 0 ? logit / penalty : logit * penalty;
  }
}

/** Overwrites logits by exp((logit - max) / temperature) and returns them: probabilities up to a factor. */
function softmaxWeights(logits: Float32Array, temperature: number): Float32Array {
  const greatest = logits[argmax(logits)] ?? 0;
  for (let i = 0; i < logits.length; i += 1) logits[i] = Math.exp(((logits[i] ?? 0) - greatest) / temperature);
  return logits;
}

/** Ids that top-k and top-p keep. In descending weight where either is on, else all in order. */
function nucleus(weights: Float32Array, topK: number, topP: number): Uint32Array {
  const everyId = Uint32Array.from(weights.keys());
  if (topK === 0 && topP === 1) return everyId;
  let total = 0;
  for (const weight of weights) total += weight;
  // What weighs less than the tail's share spread over all ids can't be in the nucleus: sorting the rest is exact.
  const floor = topK === 0 ? (total * (1 - topP)) / weights.length : kthGreatest(weights, topK);
  const ranked = everyId
    .filter((id) => (weights[id] ?? 0) >= floor)
    .sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
  const limited = topK === 0 ? ranked : ranked.subarray(0, topK);
  if (topP === 1) return limited;
  const limitedTotal = topK === 0 ? total : limited.reduce((sum, id) => sum + (weights[id] ?? 0), 0);
  let sum = 0;
  let kept = 0;
  while (kept < limited.length && sum < topP * limitedTotal) {
    sum += weights[limited[kept] ?? 0] ?? 0;
    kept += 1;
  }
  return limited.subarray(0, Math.max(1, kept));
}

function kthGreatest(weights: Float32Array, k: number): number {
  if (k >= weights.length) return 0;
  return Float32Array.from(weights).sort()[weights.length - k] ?? 0;
}
