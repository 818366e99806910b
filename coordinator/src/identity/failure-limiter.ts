/** Counts failures by peer address within a sliding window. */
export interface FailureLimiter {
  /** Whether this peer failed too often lately. */
  isBlocked(peer: string): boolean;
  recordFailure(peer: string): void;
}

/** Peers remembered at once; beyond that the longest-known is forgotten, so that memory stays bounded. */
const maxPeers = 10_000;

export function createFailureLimiter(options: {
  maxFailures: number;
  windowMs: number;
  now: () => number;
}): FailureLimiter {
  const failuresAtMs = new Map<string, number[]>();
  const recent = (peer: string) =>
    (failuresAtMs.get(peer) ?? []).filter((atMs) => atMs > options.now() - options.windowMs);
  return {
    isBlocked: (peer) => recent(peer).length >= options.maxFailures,
    recordFailure(peer) {
      const kept = [...recent(peer), options.now()].slice(-options.maxFailures);
      failuresAtMs.delete(peer);
      failuresAtMs.set(peer, kept);
      const [oldest] = failuresAtMs.keys();
      if (failuresAtMs.size > maxPeers && oldest !== undefined) failuresAtMs.delete(oldest);
    },
  };
}
