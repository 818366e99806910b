import { type HistogramSnapshot, tpotBoundsSeconds, ttftBoundsSeconds } from "@espalier/shared/contracts/telemetry";
import type { RequestObservation } from "../api/observation.ts";

/** What serving one variant amounted to since it began. */
export class ServingCounters {
  readonly startedAtMs: number;
  readonly requests = { succeeded: 0, failed: 0, cancelled: 0 };
  readonly timeToFirstToken: HistogramSnapshot = emptyHistogram(ttftBoundsSeconds);
  readonly timePerOutputToken: HistogramSnapshot = emptyHistogram(tpotBoundsSeconds);
  promptTokens = 0;
  completionTokens = 0;

  constructor(startedAtMs: number) {
    this.startedAtMs = startedAtMs;
  }

  observe(request: RequestObservation): void {
    this.requests[request.outcome] += 1;
    this.promptTokens += request.promptTokens;
    this.completionTokens += request.completionTokens;
    if (request.ttftMs !== null) observe(this.timeToFirstToken, ttftBoundsSeconds, request.ttftMs / 1000);
    if (request.tpotMs !== null) observe(this.timePerOutputToken, tpotBoundsSeconds, request.tpotMs / 1000);
  }
}

function emptyHistogram(boundsSeconds: readonly number[]): HistogramSnapshot {
  return { counts: Array.from({ length: boundsSeconds.length + 1 }, () => 0), sumSeconds: 0 };
}

/** Cumulative, as Prometheus counts: a value belongs to every bucket whose bound it does not exceed, and to the last. */
function observe(histogram: HistogramSnapshot, boundsSeconds: readonly number[], seconds: number): void {
  histogram.sumSeconds += seconds;
  for (const index of histogram.counts.keys())
    if (seconds <= (boundsSeconds[index] ?? Number.POSITIVE_INFINITY))
      histogram.counts[index] = (histogram.counts[index] ?? 0) + 1;
}
