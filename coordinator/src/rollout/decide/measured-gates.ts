import type { VariantPrediction } from "@espalier/shared/contracts/plan";
import type { VariantTiming } from "@espalier/shared/contracts/profile";
import type { Proof } from "@espalier/shared/contracts/proof";
import type { Limits, RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import type { GateResult, Verdict } from "@espalier/shared/contracts/rollout-state";
import { timesTheSame } from "../../predict/decide/same-lengths.ts";

/** One active device of a class: what was allowed, what was predicted, what it measured. */
export interface Observed {
  name: string;
  limits: Limits;
  prediction: VariantPrediction | null;
  proof: Proof | null;
}

type Lengths = Pick<RolloutSpec, "promptTokens" | "outputTokens">;

/** A measured value over what it is compared with. */
interface Ratio {
  name: string;
  what: string;
  measured: number;
  allowed: number;
}

/** Times per token closer than this differ by how the system hands threads over, not by the model (ours). */
const resolutionMs = 0.25;

/**
 * The 90th percentiles that devices measured against their limits, which may be exceeded by the spec's margin. A limit
 * without a measurement is inconclusive.
 */
export function latencyObjectiveGate(
  subject: string,
  devices: readonly Observed[],
  spec: Lengths & Pick<RolloutSpec, "gates">,
): GateResult {
  const limited = devices.filter(({ limits }) => limits.tpotP90Ms !== undefined || limits.ttftP90Ms !== undefined);
  const ratios = limited.flatMap((device) => {
    const timing = comparableTiming(device, spec);
    if (timing === null) return [];
    return [
      ...ratio(device.name, "time per output token", timing.tpotMs.p90, device.limits.tpotP90Ms),
      ...ratio(device.name, "time to first token", timing.ttftMs.p90, device.limits.ttftP90Ms),
    ];
  });
  const evidence = limited.filter((device) => comparableTiming(device, spec) !== null).length;
  return byWorstRatio("latency-objective", subject, {
    ratios,
    evidence,
    demanded: limited.length,
    over: "fail",
    margin: spec.gates.latencyMargin,
    unit: "ms",
  });
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

/** Peak resident memory against objective and owner's budget. */
export function memoryObjectiveGate(subject: string, devices: readonly Observed[]): GateResult {
  const limited = devices.filter(({ limits }) => limits.peakMemoryBytes !== undefined);
  const ratios = limited.flatMap(({ name, limits, proof }) =>
    ratio(name, "peak memory", proof?.timing?.peakMemoryBytes, limits.peakMemoryBytes),
  );
  return byWorstRatio("memory-objective", subject, {
    ratios,
    evidence: ratios.length,
    demanded: limited.length,
    over: "fail",
    margin: 0,
    unit: "bytes",
  });
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
  const message = `${worst.name} chooses the builder's token at ${(worst.agreement * 100).toFixed(1)} % of the probe's positions`;
  return { ...base, verdict: worst.agreement < minAgreement ? "fail" : "pass", measured: worst.agreement, message };
}

/** Null where the timing says nothing about the spec's limits. */
function comparableTiming({ proof }: Observed, spec: Lengths): VariantTiming | null {
  const timing = proof?.timing ?? null;
  return timing !== null && timesTheSame(timing, spec) ? timing : null;
}

function ratio(name: string, what: string, measured: number | undefined, allowed: number | undefined): Ratio[] {
  return measured === undefined || allowed === undefined ? [] : [{ name, what, measured, allowed }];
}

function byWorstRatio(
  gate: GateResult["gate"],
  subject: string,
  from: {
    ratios: readonly Ratio[];
    evidence: number;
    demanded: number;
    over: Verdict;
    margin: number;
    unit: "ms" | "bytes";
  },
): GateResult {
  const worst = [...from.ratios].sort((a, b) => b.measured / b.allowed - a.measured / a.allowed)[0];
  const base = { gate, subject, evidence: from.evidence } as const;
  if (from.demanded === 0)
    return { ...base, verdict: "pass", measured: null, allowed: null, message: "no limit is set" };
  if (worst === undefined) {
    return {
      ...base,
      verdict: "inconclusive",
      measured: null,
      allowed: null,
      message: "a limit is set, but no device measured it",
    };
  }
  const show = (value: number) =>
    from.unit === "ms" ? `${value.toFixed(1)} ms` : `${(value / 2 ** 20).toFixed(1)} MiB`;
  const verdict = worst.measured > worst.allowed * (1 + from.margin) ? from.over : "pass";
  const message = `${worst.name}: ${worst.what} ${show(worst.measured)}, allowed ${show(worst.allowed)}`;
  return { ...base, verdict, measured: worst.measured, allowed: worst.allowed, message };
}
