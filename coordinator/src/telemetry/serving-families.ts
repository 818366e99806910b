import { type TelemetrySnapshot, tpotBoundsSeconds, ttftBoundsSeconds } from "@espalier/shared/contracts/telemetry";
import type { Counters } from "./decide/counters.ts";
import type { Exposition, Labels } from "./exposition.ts";

/** One row of serving metrics: a device, or a group of devices of one class and variant. */
export interface ServingRow {
  labels: Labels;
  counters: Counters;
  /** Devices that serve now. */
  serving: readonly TelemetrySnapshot[];
}

/** @param prefix `espalier_` for the fleet; single devices have names of their own, so that sums never count twice */
export function writeServing(exposition: Exposition, prefix: string, rows: readonly ServingRow[]): void {
  exposition
    .histogram(
      `${prefix}time_to_first_token_seconds`,
      "From a request's arrival to its first token.",
      ttftBoundsSeconds,
      rows.map(({ labels, counters }) => ({ labels, histogram: counters.timeToFirstToken })),
    )
    .histogram(
      `${prefix}time_per_output_token_seconds`,
      "A request's mean time between its tokens after the first.",
      tpotBoundsSeconds,
      rows.map(({ labels, counters }) => ({ labels, histogram: counters.timePerOutputToken })),
    )
    .counter(
      `${prefix}requests_total`,
      "Requests that reached generation, by how they ended.",
      rows.flatMap(({ labels, counters }) =>
        Object.entries(counters.requests).map(([outcome, value]) => ({ labels: { ...labels, outcome }, value })),
      ),
    )
    .counter(
      `${prefix}prompt_tokens_total`,
      "Tokens of prompts.",
      rows.map(({ labels, counters }) => ({ labels, value: counters.promptTokens })),
    )
    .counter(
      `${prefix}completion_tokens_total`,
      "Tokens generated.",
      rows.map(({ labels, counters }) => ({ labels, value: counters.completionTokens })),
    );
  writeMemory(exposition, prefix, rows);
  writeEnergy(exposition, prefix, rows);
  writeProbe(exposition, prefix, rows);
}

function writeMemory(exposition: Exposition, prefix: string, rows: readonly ServingRow[]): void {
  const living = rows.filter(({ serving }) => serving.length > 0);
  const gauge = (name: string, help: string, of: (snapshots: readonly TelemetrySnapshot[]) => number) =>
    exposition.gauge(
      `${prefix}${name}`,
      help,
      living.map(({ labels, serving }) => ({ labels, value: of(serving) })),
    );
  gauge("peak_memory_bytes", "Highest peak resident memory of an agent process.", (all) =>
    Math.max(...all.map(({ memory }) => memory.peakBytes)),
  );
  gauge("resident_memory_bytes", "Resident memory of agent processes, summed.", (all) =>
    all.reduce((sum, { memory }) => sum + memory.residentBytes, 0),
  );
  gauge("serving_devices", "Devices that serve and report.", (all) => all.length);
}

/** No sample where no device of a row has a counter: unavailable is not zero. */
function writeEnergy(exposition: Exposition, prefix: string, rows: readonly ServingRow[]): void {
  const samples = rows.flatMap(({ labels, serving }) => {
    const joules = serving.flatMap(({ joulesPerToken }) => joulesPerToken ?? []);
    return joules.length === 0 ? [] : [{ labels, value: joules.reduce((sum, one) => sum + one, 0) / joules.length }];
  });
  const help = "Mean over devices with a counter: of the processors per generated token, as proofs measured it.";
  exposition.gauge(`${prefix}energy_per_token_joules`, help, samples);
}

function writeProbe(exposition: Exposition, prefix: string, rows: readonly ServingRow[]): void {
  const samples = (of: (values: readonly number[]) => number) =>
    rows.flatMap(({ labels, serving }) => {
      const probes = serving.flatMap(({ probe }) => (probe === null ? [] : [probe]));
      if (probes.length === 0) return [];
      return [
        { labels: { ...labels, reference: "dense" }, value: of(probes.map((probe) => probe.agreementWithDense)) },
        { labels: { ...labels, reference: "builder" }, value: of(probes.map((probe) => probe.agreementWithBuilder)) },
      ];
    });
  exposition
    .gauge(
      `${prefix}probe_agreement_ratio`,
      "Least share of probe positions at which a device chooses the reference's token.",
      samples((values) => Math.min(...values)),
    )
    .gauge(
      `${prefix}probe_agreement_mean_ratio`,
      "Mean share of probe positions at which devices choose the reference's token.",
      samples((values) => values.reduce((sum, value) => sum + value, 0) / values.length),
    );
}
