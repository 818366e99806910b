import { type MachineState, tpotBoundsSeconds, ttftBoundsSeconds } from "@espalier/shared/contracts/telemetry";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { RequestObservation } from "../api/observation.ts";
import type { ProcessMemory } from "../measure/process-memory.ts";
import type { Installed } from "../update/agent-state.ts";

/** The local `/metrics`. Names follow prometheus.io/docs/practices/naming; `promtool check metrics` is clean. */
export class AgentMetrics {
  readonly registry = new Registry();
  readonly #ttft: Histogram;
  readonly #tpot: Histogram;
  readonly #requests: Counter<"outcome">;
  readonly #promptTokens: Counter;
  readonly #completionTokens: Counter;
  readonly #probe: Gauge<"reference">;
  readonly #energy: Gauge;
  readonly #temperature: Gauge;
  readonly #onBattery: Gauge;
  readonly #throttled: Gauge;
  readonly #throttles: Gauge;
  readonly #info: Gauge<"variant" | "model" | "artifact_digest">;

  constructor(memory: ProcessMemory) {
    const registers = [this.registry];
    const prefix = "espalier_agent_";
    this.#ttft = new Histogram({
      name: `${prefix}time_to_first_token_seconds`,
      help: "From a request's arrival to its first token.",
      buckets: [...ttftBoundsSeconds],
      registers,
    });
    this.#tpot = new Histogram({
      name: `${prefix}time_per_output_token_seconds`,
      help: "A request's mean time between its tokens after the first.",
      buckets: [...tpotBoundsSeconds],
      registers,
    });
    this.#requests = new Counter({
      name: `${prefix}requests_total`,
      help: "Requests that reached generation, by how they ended.",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of ["succeeded", "failed", "cancelled"]) this.#requests.inc({ outcome }, 0);
    this.#promptTokens = new Counter({ name: `${prefix}prompt_tokens_total`, help: "Tokens of prompts.", registers });
    this.#completionTokens = new Counter({
      name: `${prefix}completion_tokens_total`,
      help: "Tokens generated.",
      registers,
    });
    new Gauge({
      name: `${prefix}resident_memory_bytes`,
      help: "Resident memory of the agent process.",
      registers,
      collect() {
        this.set(memory.residentBytes());
      },
    });
    new Gauge({
      name: `${prefix}peak_resident_memory_bytes`,
      help: "Peak resident memory of the agent process since it started.",
      registers,
      collect() {
        this.set(memory.peakBytes());
      },
    });
    this.#probe = new Gauge({
      name: `${prefix}probe_agreement_ratio`,
      help: "Share of probe positions at which this device chooses the reference's token.",
      labelNames: ["reference"],
      registers,
    });
    this.#energy = new Gauge({
      name: `${prefix}energy_per_token_joules`,
      help: "Of the processors per generated token, as the variant's proof measured it; absent without a counter.",
      registers,
    });
    this.#temperature = new Gauge({
      name: `${prefix}temperature_celsius`,
      help: "Of the hottest thermal zone; absent where there is none.",
      registers,
    });
    this.#onBattery = new Gauge({
      name: `${prefix}on_battery`,
      help: "1 on battery, 0 on mains; absent where it can't be told.",
      registers,
    });
    this.#throttled = new Gauge({
      name: `${prefix}throttled`,
      help: "1 while processors are held back to stay cool; absent where it can't be told.",
      registers,
    });
    this.#throttles = new Gauge({
      name: `${prefix}throttles`,
      help: "Times that processors were slowed down for heat since the machine started; absent where nothing counts.",
      registers,
    });
    this.#info = new Gauge({
      name: `${prefix}variant_info`,
      help: "The variant that is served; always 1.",
      labelNames: ["variant", "model", "artifact_digest"],
      registers,
    });
  }

  serve(installed: Installed | null): void {
    this.#info.reset();
    this.#probe.reset();
    this.#energy.remove();
    if (installed === null) return;
    const { name, modelName, artifactDigest, proof } = installed;
    this.#info.set({ variant: name, model: modelName, artifact_digest: artifactDigest }, 1);
    const joules = proof.timing?.joulesPerToken ?? null;
    if (joules !== null) this.#energy.set(joules);
    if (proof.agreementWithDense !== null) this.#probe.set({ reference: "dense" }, proof.agreementWithDense);
    if (proof.agreementWithBuilder !== null) this.#probe.set({ reference: "builder" }, proof.agreementWithBuilder);
  }

  machine({ powerSource, thermalCelsius, throttled, throttles }: MachineState): void {
    const show = (gauge: Gauge, value: number | null): void => (value === null ? gauge.remove() : gauge.set(value));
    show(this.#temperature, thermalCelsius);
    show(this.#onBattery, powerSource === "unknown" ? null : Number(powerSource === "battery"));
    show(this.#throttled, throttled === null ? null : Number(throttled));
    show(this.#throttles, throttles);
  }

  observe({ outcome, ttftMs, tpotMs, promptTokens, completionTokens }: RequestObservation): void {
    this.#requests.inc({ outcome });
    this.#promptTokens.inc(promptTokens);
    this.#completionTokens.inc(completionTokens);
    if (ttftMs !== null) this.#ttft.observe(ttftMs / 1000);
    if (tpotMs !== null) this.#tpot.observe(tpotMs / 1000);
  }
}
