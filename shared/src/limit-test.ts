/**
 * Do a device's requests keep a limit on their 90th percentile? The limit is kept when at most a tenth of all requests lies
 * above it; it is told apart from being above in three of ten, where the variant is slow and not the machine busy for once.
 *
 * Wald's sequential probability ratio test (1945) on the count of requests above the limit. With `n` requests, `k` above:
 *
 *     ratio = (brokenShare / keptShare)^k * ((1 - brokenShare) / (1 - keptShare))^(n - k)
 *
 * Broken from `1 / falseAlarm` on, kept down to `missed`; between the two, more requests are needed. Both bounds hold
 * however often one looks (Ville's inequality: the ratio is a martingale), so the device may stop as soon as it knows.
 * Five requests that are all above are enough to fail, ten that are all below to pass, fifteen when one paused.
 */
export const limitTest = { keptShare: 0.1, brokenShare: 0.3, falseAlarm: 0.01, missed: 0.1 } as const;

export type LimitVerdict = "kept" | "broken" | "undecided";

/** @param limitMs a time above it counts against the limit */
export function judgeLimit(timesMs: readonly number[], limitMs: number): LimitVerdict {
  const above = timesMs.filter((ms) => ms > limitMs).length;
  return judgeCount(timesMs.length, above);
}

export function judgeCount(requests: number, above: number): LimitVerdict {
  const { keptShare, brokenShare, falseAlarm, missed } = limitTest;
  const logRatio =
    above * Math.log(brokenShare / keptShare) + (requests - above) * Math.log((1 - brokenShare) / (1 - keptShare));
  if (logRatio >= -Math.log(falseAlarm)) return "broken";
  return logRatio <= Math.log(missed) ? "kept" : "undecided";
}
