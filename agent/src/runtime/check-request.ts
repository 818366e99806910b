import { runtimeError } from "./runtime-error.ts";

/** What requests are checked against before they reach the worker. */
export interface RequestLimits {
  readonly contextTokens: number;
  readonly vocabularySize: number;
}

/**
 * `tokens` must not be empty, be inside the vocabulary, and leave room for `newTokens` positions in the cache.
 * Throws `runtime.invalid-request` or `runtime.context-overflow` with the numbers.
 */
export function checkTokens(limits: RequestLimits, tokens: readonly number[], newTokens: number): void {
  if (tokens.length === 0) throw runtimeError("runtime.invalid-request", "A request needs at least one token");
  const { vocabularySize } = limits;
  const stray = tokens.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize);
  if (stray !== undefined) {
    throw runtimeError("runtime.invalid-request", `Token ${stray} is not in the vocabulary of ${vocabularySize}`);
  }
  checkRoom(limits, tokens.length, newTokens);
}

function checkRoom(limits: RequestLimits, heldTokens: number, newTokens: number): void {
  if (heldTokens + newTokens <= limits.contextTokens) return;
  throw runtimeError(
    "runtime.context-overflow",
    `${heldTokens} tokens and ${newTokens} new ones do not fit a context of ${limits.contextTokens}`,
    { fields: { heldTokens, newTokens, contextTokens: limits.contextTokens }, remedy: "Shorten the prompt." },
  );
}

/** Counts (threads, tokens to generate) are whole numbers of at least 1. */
export function checkCount(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1) return;
  throw runtimeError("runtime.invalid-request", `${name} must be a whole number of at least 1, not ${value}`);
}
