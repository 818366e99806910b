import type { TelemetrySnapshot } from "@espalier/shared/contracts/telemetry";

/** What is remembered of a device between looks at its telemetry. */
export interface DriftState {
  artifactDigest: string;
  startedAtMs: number;
  /** Where the present window began. */
  requests: number;
  sumSeconds: number;
  /** Windows in a row that were far off. */
  farOff: number;
  /** False after it asked, until a window was near again: a device that stays off asks once, not in a loop. */
  armed: boolean;
}

/** Requests that a window takes: fewer say little. */
const windowRequests = 20;
/** Windows in a row that must be far off. */
const windowsNeeded = 3;
/** Served over proven time per output token, either way. Between both bounds nothing changes (hysteresis). */
const farRatio = 1.5;
const nearRatio = 1.2;

/**
 * Whether a device now serves so much slower or faster than when it proved its variant that its profile must be doubted.
 * @param provenMs time per output token when it proved the variant that it serves
 */
export function watchDrift(
  before: DriftState | undefined,
  {
    variant,
    startedAtMs,
    timePerOutputToken,
  }: Pick<TelemetrySnapshot, "variant" | "startedAtMs" | "timePerOutputToken">,
  provenMs: number,
): { state: DriftState; drifted: string | null } {
  const artifactDigest = variant?.artifactDigest ?? "";
  const requests = timePerOutputToken.counts.at(-1) ?? 0;
  const { sumSeconds } = timePerOutputToken;
  const known = before?.artifactDigest === artifactDigest && before.startedAtMs === startedAtMs ? before : undefined;
  const armed = known?.armed ?? before?.armed ?? true;
  const state = known ?? { artifactDigest, startedAtMs, requests, sumSeconds, farOff: 0, armed };
  if (requests - state.requests < windowRequests) return { state, drifted: null };
  const servedMs = (1000 * (sumSeconds - state.sumSeconds)) / (requests - state.requests);
  const ratio = Math.max(servedMs / provenMs, provenMs / servedMs);
  const farOff = ratio >= farRatio ? state.farOff + 1 : 0;
  const drifts = armed && farOff >= windowsNeeded;
  return {
    state: { ...state, requests, sumSeconds, farOff, armed: drifts ? false : armed || ratio <= nearRatio },
    drifted: drifts
      ? `it serves at ${servedMs.toFixed(1)} ms per output token, proven at ${provenMs.toFixed(1)} ms`
      : null,
  };
}
