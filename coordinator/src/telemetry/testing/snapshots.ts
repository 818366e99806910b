import { digestOfBytes } from "@espalier/shared/contracts/digest";
import {
  type HistogramSnapshot,
  type TelemetrySnapshot,
  tpotBoundsSeconds,
  ttftBoundsSeconds,
} from "@espalier/shared/contracts/telemetry";

/** A histogram of these observations with our buckets. */
export function histogramOf(bounds: readonly number[], seconds: readonly number[]): HistogramSnapshot {
  const upTo = (bound: number) => seconds.filter((value) => value <= bound).length;
  return { counts: [...bounds, Infinity].map(upTo), sumSeconds: seconds.reduce((sum, value) => sum + value, 0) };
}

/** What a device tells after requests with these times per output token; its first tokens took ten times as long. */
export function snapshotOf(
  deviceId: string,
  tpotSeconds: readonly number[],
  change: Partial<TelemetrySnapshot> = {},
): TelemetrySnapshot {
  return {
    schemaVersion: 1,
    deviceId,
    startedAtMs: 1,
    atMs: 100 + tpotSeconds.length,
    variant: { artifactDigest: digestOfBytes("a"), name: "dense-q8b128" },
    timeToFirstToken: histogramOf(
      ttftBoundsSeconds,
      tpotSeconds.map((value) => value * 10),
    ),
    timePerOutputToken: histogramOf(tpotBoundsSeconds, tpotSeconds),
    requests: { succeeded: tpotSeconds.length, failed: 1, cancelled: 0 },
    promptTokens: 10 * tpotSeconds.length,
    completionTokens: 20 * tpotSeconds.length,
    memory: { residentBytes: 1000, peakBytes: 2000 },
    joulesPerToken: null,
    machine: null,
    probe: { agreementWithDense: 0.9, agreementWithBuilder: 1, atMs: 50 },
    ...change,
  };
}
