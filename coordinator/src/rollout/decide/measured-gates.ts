import type { VariantPrediction } from "@espalier/shared/contracts/plan";
import type { VariantTiming } from "@espalier/shared/contracts/profile";
import type { Proof } from "@espalier/shared/contracts/proof";
import type { Limits, RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import type { GateResult, Verdict } from "@espalier/shared/contracts/rollout-state";
import { judgeLimit, type LimitVerdict } from "@espalier/shared/limit-test";
import { timesTheSame } from "../../predict/decide/same-lengths.ts";

/** One active device of a class: what was allowed, what was predicted, what it measured. */
export interface Observed {
  name: string;
  limits: Limits;
  prediction: VariantPrediction | null;
  proof: Proof | null;
}

type Lengths = Pick<RolloutSpec, "promptTokens" | "outputTokens">;

/** Times per token closer than this differ by how the system hands threads over, not by the model (ours). */
const resolutionMs = 0.25;

/** One limit on a 90th percentile, and the requests that a device made of its variant. */
interface TimedLimit {
  name: string;
  what: string;
  p90Ms: number;
  allowedMs: number;
  requests: number;
  above: number;
  verdict: LimitVerdict;
}

const limitVerdicts: Record<LimitVerdict, Verdict> = { kept: "pass", broken: "fail", undecided: "inconclusive" };

/**
 * Each device's requests against its limits on 90th percentiles, raised by the spec's margin, by the sequential test of
 * `limit-test.ts`: the worst device decides. A limit without a measurement is inconclusive, and so is one about which the
 * requests don't tell.
 */
export function latencyObjectiveGate(
  subject: string,
  devices: readonly Observed[],
  spec: Lengths & Pick<RolloutSpec, "gates">,
): GateResult {
  const limited = devices.filter(({ limits }) => limits.tpotP90Ms !== undefined || limits.ttftP90Ms !== undefined);
  const timed = limited.flatMap((device) => timedLimits(device, spec));
  const evidence = timed.reduce((sum, { requests }) => sum + requests, 0);
  const base = { gate: "latency-objective", subject, evidence } as const;
  const nothing = { ...base, measured: null, allowed: null } as const;
  if (limited.length === 0) return { ...nothing, verdict: "pass", message: "no limit is set" };
  const order: readonly LimitVerdict[] = ["kept", "undecided", "broken"];
  const worst = timed.sort(
    (a, b) => order.indexOf(b.verdict) - order.indexOf(a.verdict) || b.p90Ms / b.allowedMs - a.p90Ms / a.allowedMs,
  )[0];
  if (worst === undefined)
    return { ...nothing, verdict: "inconclusive", message: "a limit is set, but no device measured it" };
  const { name, what, p90Ms, allowedMs, requests, above } = worst;
  const tells = worst.verdict === "undecided" ? ": too few to tell" : "";
  return {
    ...base,
    verdict: limitVerdicts[worst.verdict],
    measured: p90Ms,
    allowed: allowedMs,
    message: `${name}: ${what} above ${allowedMs.toFixed(1)} ms in ${above} of ${requests} requests${tells}`,
  };
}

function timedLimits(device: Observed, spec: Lengths & Pick<RolloutSpec, "gates">): TimedLimit[] {
  const timing = comparableTiming(device, spec);
  const { tpotP90Ms, ttftP90Ms } = gatedTimes(device.limits, spec);
  const judge = (what: string, timesMs: readonly number[], p90Ms: number, allowedMs = Infinity): TimedLimit[] => {
    if (allowedMs === Infinity || timesMs.length === 0) return [];
    const above = timesMs.filter((ms) => ms > allowedMs).length;
    const verdict = judgeLimit(timesMs, allowedMs);
    return [{ name: device.name, what, p90Ms, allowedMs, requests: timesMs.length, above, verdict }];
  };
  if (timing === null) return [];
  return [
    ...judge("time per output token", timing.tpotEachMs, timing.tpotMs.p90, tpotP90Ms),
    ...judge("time to first token", timing.ttftEachMs, timing.ttftMs.p90, ttftP90Ms),
  ];
}

/** The limits that requests are held against: those of the device, raised by the spec's margin. */
export function gatedTimes(
  { tpotP90Ms, ttftP90Ms }: Limits,
  { gates }: Pick<RolloutSpec, "gates">,
): Pick<Limits, "tpotP90Ms" | "ttftP90Ms"> {
  const raised = (limitMs: number) => limitMs * (1 + gates.latencyMargin);
  return {
    ...(tpotP90Ms === undefined ? {} : { tpotP90Ms: raised(tpotP90Ms) }),
    ...(ttftP90Ms === undefined ? {} : { ttftP90Ms: raised(ttftP90Ms) }),
  };
}

/**
 * Medians against predictions: a device that is far off its prediction, either way, is not understood. Within what the
 * prediction itself leaves open nothing is contradicted.
 */
export function latencyPredictionGate(
  subject: string,
  devices: readonly Observed[],
  spec: Lengths & Pick<RolloutSpec, "gates">,
): GateResult {
  const { maxPredictionError } = spec.gates;
  const predicted = devices.filter(({ prediction }) => prediction !== null).length;
  const errors = devices.flatMap((device) => {
    const timing = comparableTiming(device, spec);
    if (timing === null || device.prediction === null) return [];
    const { value: predicted, relativeUncertainty } = device.prediction.tpotMs;
    const measured = timing.tpotMs.median;
    const allowed = Math.max(maxPredictionError, relativeUncertainty, resolutionMs / predicted);
    return [{ name: device.name, measured, predicted, allowed, error: Math.abs(measured / predicted - 1) }];
  });
  const worst = errors.sort((a, b) => b.error / b.allowed - a.error / a.allowed)[0];
  const allowed = worst?.allowed ?? maxPredictionError;
  const base = { gate: "latency-prediction", subject, allowed, evidence: errors.length } as const;
  if (predicted === 0 && devices.length > 0) {
    return { ...base, verdict: "pass", measured: null, message: "every device stepped down from what was predicted" };
  }
  if (worst === undefined) {
    return {
      ...base,
      verdict: "inconclusive",
      measured: null,
      message: "no device timed its variant at the lengths of the plan",
    };
  }
  const message = `${worst.name} takes ${worst.measured.toFixed(1)} ms per output token, predicted ${worst.predicted.toFixed(1)} ms`;
  return {
    ...base,
    verdict: worst.error > worst.allowed ? "inconclusive" : "pass",
    measured: worst.error,
    message,
  };
}

/** Peak resident memory against objective and owner's budget. A limit without a measurement is inconclusive. */
export function memoryObjectiveGate(subject: string, devices: readonly Observed[]): GateResult {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return measuredObjectiveGate({ gate: "memory-objective", subject }, devices, {
    allowedOf: ({ limits }) => limits.peakMemoryBytes,
    measuredOf: ({ proof }) => proof?.timing?.peakMemoryBytes,
    unmeasured: { verdict: "inconclusive", message: "a limit is set, but no device measured it" },
    message: (name, measured, allowed) => `${name}: peak memory ${mib(measured)}, allowed ${mib(allowed)}`,
  });
}

/** Energy per token against the objective. A device without a counter can't tell, now or ever, and holds nothing up. */
export function energyObjectiveGate(subject: string, devices: readonly Observed[]): GateResult {
  const joules = (value: number) => `${value.toPrecision(3)} J`;
  return measuredObjectiveGate({ gate: "energy-objective", subject }, devices, {
    allowedOf: ({ limits }) => limits.joulesPerToken,
    measuredOf: ({ proof }) => proof?.timing?.joulesPerToken,
    unmeasured: { verdict: "pass", message: "a limit is set, but no device has a readable energy counter" },
    message: (name, measured, allowed) => `${name}: ${joules(measured)} per token, allowed ${joules(allowed)}`,
  });
}

/** One figure of each device against its limit: the worst device decides. */
function measuredObjectiveGate(
  about: Pick<GateResult, "gate" | "subject">,
  devices: readonly Observed[],
  of: {
    allowedOf: (device: Observed) => number | undefined;
    measuredOf: (device: Observed) => number | null | undefined;
    /** When limits are set, but nothing was measured. */
    unmeasured: Pick<GateResult, "verdict" | "message">;
    message: (name: string, measured: number, allowed: number) => string;
  },
): GateResult {
  const limited = devices.filter((device) => of.allowedOf(device) !== undefined);
  const held = limited.flatMap((device) => {
    const [measured, allowed] = [of.measuredOf(device) ?? undefined, of.allowedOf(device)];
    return measured === undefined || allowed === undefined ? [] : [{ name: device.name, measured, allowed }];
  });
  const base = { ...about, evidence: held.length };
  const nothing = { ...base, measured: null, allowed: null };
  if (limited.length === 0) return { ...nothing, verdict: "pass", message: "no limit is set" };
  const worst = held.sort((a, b) => b.measured / b.allowed - a.measured / a.allowed)[0];
  if (worst === undefined) return { ...nothing, ...of.unmeasured };
  const { name, measured, allowed } = worst;
  const verdict = measured > allowed ? "fail" : "pass";
  return { ...base, verdict, measured, allowed, message: of.message(name, measured, allowed) };
}

/** The probe set on the device must choose the builder's tokens. */
export function probeGate(subject: string, devices: readonly Observed[], minAgreement: number): GateResult {
  const agreements = devices.flatMap(({ name, proof }) =>
    proof === null || proof.agreementWithBuilder === null ? [] : [{ name, agreement: proof.agreementWithBuilder }],
  );
  const worst = agreements.sort((a, b) => a.agreement - b.agreement)[0];
  const base = { gate: "probe", subject, allowed: minAgreement, evidence: agreements.length } as const;
  if (worst === undefined)
    return { ...base, verdict: "inconclusive", measured: null, message: "no device ran the probe set" };
  const message = `${worst.name} chooses the builder's token at ${(worst.agreement * 100).toFixed(1)} % of the probe's decisive positions`;
  return { ...base, verdict: worst.agreement < minAgreement ? "fail" : "pass", measured: worst.agreement, message };
}

/** Null where the timing says nothing about the spec's limits. */
function comparableTiming({ proof }: Observed, spec: Lengths): VariantTiming | null {
  const timing = proof?.timing ?? null;
  return timing !== null && timesTheSame(timing, spec) ? timing : null;
}
