import { argmax, greatest } from "./ranking.ts";

/** Natural logarithms of probabilities at one position, by the model's own distribution. */
export interface TokenLogprobs {
  /** Of the token that was chosen. */
  readonly logprob: number;
  /** The most likely tokens, most likely first. */
  readonly top: readonly { readonly tokenId: number; readonly logprob: number }[];
}

/**
 * Log-softmax of `logits` [vocabulary] at the chosen token and at the `count` most likely ones. The logits are to be the
 * model's: before bias, penalties and temperature.
 */
export function tokenLogprobs(logits: Float32Array, chosen: number, count: number): TokenLogprobs {
  const highest = logits[argmax(logits)] ?? 0;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - highest);
  const normalizer = highest + Math.log(sum);
  const logprob = (tokenId: number): number => (logits[tokenId] ?? Number.NaN) - normalizer;
  return {
    logprob: logprob(chosen),
    top: greatest(logits, count).map((tokenId) => ({ tokenId, logprob: logprob(tokenId) })),
  };
}
