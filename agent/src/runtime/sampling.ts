/** How the next token is chosen from the logits. */
export interface Sampling {
  /** 0 is greedy: the most likely token, the lowest id among equals. */
  readonly temperature: number;
  /** This many most likely tokens; 0 keeps all. */
  readonly topK: number;
  /** Least set of most likely tokens whose probabilities sum to this; 1 keeps all. */
  readonly topP: number;
  /** Tokens at least this share as likely as the likeliest one; 0 keeps all (Nguyen et al. 2024). */
  readonly minP: number;
  /** Logits of tokens in prompt and answer are divided (positive) or multiplied (negative) by this; 1 is off (Keskar et al. 2019). */
  readonly repetitionPenalty: number;
  /** Taken off a token's logit for each time that the answer has it; 0 is off. */
  readonly frequencyPenalty: number;
  /** Taken off a token's logit once the answer has it; 0 is off. */
  readonly presencePenalty: number;
  /** Added to the logits of these tokens: [token id, bias]. */
  readonly logitBias: readonly (readonly [tokenId: number, bias: number])[];
  /** Equal seeds give equal tokens for equal logits. */
  readonly seed: number;
}

/** Greedy choice: what probes and tests use. */
export const greedy: Sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logitBias: [],
  seed: 0,
};
