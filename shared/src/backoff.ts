/** How waits grow between attempts. */
export interface BackoffPolicy {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly factor: number;
}

/** For connections and downloads that a device tries for ever. */
export const patientBackoff: BackoffPolicy = { firstMs: 250, maxMs: 30_000, factor: 2 };

/**
 * The wait before attempt `attempt` (1 is the first retry): equal jitter, between half and all of the capped
 * exponential, so that a fleet that lost its coordinator at once doesn't come back at once.
 * @param random in [0, 1)
 */
export function backoffDelayMs(policy: BackoffPolicy, attempt: number, random: number): number {
  const ceilingMs = Math.min(policy.maxMs, policy.firstMs * policy.factor ** (attempt - 1));
  return ceilingMs / 2 + (ceilingMs / 2) * random;
}
