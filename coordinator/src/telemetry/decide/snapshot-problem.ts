import {
  type HistogramSnapshot,
  TelemetrySnapshot,
  tpotBoundsSeconds,
  ttftBoundsSeconds,
} from "@espalier/shared/contracts/telemetry";

export type CheckedSnapshot = { ok: true; snapshot: TelemetrySnapshot } | { ok: false; problem: string };

/**
 * Whether a message may count: it keeps its contract, is of the device whose subject it came on, and its histograms
 * have our buckets and never fall from bucket to bucket.
 */
export function checkSnapshot(message: unknown, deviceId: string): CheckedSnapshot {
  const parsed = TelemetrySnapshot.safeParse(message);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { ok: false, problem: `${issue?.path.join(".") || "message"}: ${issue?.message ?? "invalid"}` };
  }
  const snapshot = parsed.data;
  if (snapshot.deviceId !== deviceId) return { ok: false, problem: "the device named is not the one it came from" };
  if ((snapshot.variant?.name.length ?? 0) > 200) return { ok: false, problem: "the variant's name is too long" };
  const problem =
    histogramProblem("timeToFirstToken", snapshot.timeToFirstToken, ttftBoundsSeconds.length) ??
    histogramProblem("timePerOutputToken", snapshot.timePerOutputToken, tpotBoundsSeconds.length);
  return problem === null ? { ok: true, snapshot } : { ok: false, problem };
}

function histogramProblem(name: string, { counts }: HistogramSnapshot, bounds: number): string | null {
  if (counts.length !== bounds + 1) return `${name} has ${counts.length} counts, expected ${bounds + 1}`;
  if (counts.some((count, index) => index > 0 && count < (counts[index - 1] ?? 0))) return `${name} is not cumulative`;
  return null;
}
