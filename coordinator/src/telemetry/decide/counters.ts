import {
  type HistogramSnapshot,
  type TelemetrySnapshot,
  tpotBoundsSeconds,
  ttftBoundsSeconds,
} from "@espalier/shared/contracts/telemetry";

/** What serving amounted to, of a device or summed over devices. Histogram counts are cumulative over buckets. */
export interface Counters {
  timeToFirstToken: HistogramSnapshot;
  timePerOutputToken: HistogramSnapshot;
  requests: TelemetrySnapshot["requests"];
  promptTokens: number;
  completionTokens: number;
}

export function zeroCounters(): Counters {
  const empty = (bounds: readonly number[]) => ({
    counts: new Array<number>(bounds.length + 1).fill(0),
    sumSeconds: 0,
  });
  return {
    timeToFirstToken: empty(ttftBoundsSeconds),
    timePerOutputToken: empty(tpotBoundsSeconds),
    requests: { succeeded: 0, failed: 0, cancelled: 0 },
    promptTokens: 0,
    completionTokens: 0,
  };
}

export function addCounters(a: Counters, b: Counters): Counters {
  return combine(a, b, (x, y) => x + y);
}

/**
 * What was served between two snapshots of a device. A device that started anew, or whose counters went back, counts
 * from zero; so sums over devices never go backwards.
 */
export function servedBetween(previous: TelemetrySnapshot | null, next: TelemetrySnapshot): Counters {
  if (previous === null || previous.startedAtMs !== next.startedAtMs) return combine(next, zeroCounters(), (x) => x);
  const difference = combine(next, previous, (x, y) => x - y);
  return isMonotone(difference) ? difference : combine(next, zeroCounters(), (x) => x);
}

function isMonotone({
  timeToFirstToken,
  timePerOutputToken,
  requests,
  promptTokens,
  completionTokens,
}: Counters): boolean {
  return [
    ...timeToFirstToken.counts,
    ...timePerOutputToken.counts,
    ...Object.values(requests),
    promptTokens,
    completionTokens,
    timeToFirstToken.sumSeconds,
    timePerOutputToken.sumSeconds,
  ].every((value) => value >= 0);
}

function combine(a: Counters, b: Counters, of: (x: number, y: number) => number): Counters {
  const histogram = (x: HistogramSnapshot, y: HistogramSnapshot): HistogramSnapshot => ({
    counts: x.counts.map((count, index) => of(count, y.counts[index] ?? 0)),
    sumSeconds: of(x.sumSeconds, y.sumSeconds),
  });
  return {
    timeToFirstToken: histogram(a.timeToFirstToken, b.timeToFirstToken),
    timePerOutputToken: histogram(a.timePerOutputToken, b.timePerOutputToken),
    requests: {
      succeeded: of(a.requests.succeeded, b.requests.succeeded),
      failed: of(a.requests.failed, b.requests.failed),
      cancelled: of(a.requests.cancelled, b.requests.cancelled),
    },
    promptTokens: of(a.promptTokens, b.promptTokens),
    completionTokens: of(a.completionTokens, b.completionTokens),
  };
}
