/** How the next token is chosen from the logits. */
export interface Sampling {
  /** 0 is greedy: the most likely token, the lowest id among equals. */
  readonly temperature: number;
  /** Least set of most likely tokens whose probabilities sum to this; 1 keeps all. */
  readonly topP: number;
  /** This many most likely tokens; 0 keeps all. */
  readonly topK: number;
  /** Logits of tokens already seen are divided (positive) or multiplied (negative) by this; 1 is off (Keskar et al. 2019). */
  readonly repetitionPenalty: number;
  /** Equal seeds give equal tokens. */
  readonly seed: number;
}

/** Greedy choice: what probes and tests use. */
export const greedy: Sampling = { temperature: 0, topP: 1, topK: 0, repetitionPenalty: 1, seed: 0 };
