import type { MachineState, TelemetrySnapshot } from "@espalier/shared/contracts/telemetry";
import type { RequestObservation } from "../api/observation.ts";
import type { ProcessMemory } from "../measure/process-memory.ts";
import type { Installed } from "../update/agent-state.ts";
import { AgentMetrics } from "./agent-metrics.ts";
import { ServingCounters } from "./serving-counters.ts";

export interface TelemetryDeps {
  readonly deviceId: string;
  readonly memory: ProcessMemory;
  readonly readMachine: () => Promise<MachineState>;
  readonly clock: { now(): number };
}

/** What is known of serving: the snapshot for the coordinator and the local `/metrics`. */
export class Telemetry {
  readonly #deps: TelemetryDeps;
  readonly #metrics: AgentMetrics;
  #counters: ServingCounters;
  #serving: Installed | null = null;
  #machine: MachineState | null = null;

  constructor(deps: TelemetryDeps) {
    this.#deps = deps;
    this.#metrics = new AgentMetrics(deps.memory);
    this.#counters = new ServingCounters(deps.clock.now());
  }

  /** Another variant begins to serve (or none): the snapshot's counters begin anew, the local ones go on. */
  serve(installed: Installed | null): void {
    this.#serving = installed;
    this.#counters = new ServingCounters(this.#deps.clock.now());
    this.#metrics.serve(installed);
  }

  observe(request: RequestObservation): void {
    this.#counters.observe(request);
    this.#metrics.observe(request);
  }

  /** Looks at the machine: later snapshots tell what was seen. */
  async look(): Promise<void> {
    this.#machine = await this.#deps.readMachine();
    this.#metrics.machine(this.#machine);
  }

  snapshot(): TelemetrySnapshot {
    const { deviceId, memory, clock } = this.#deps;
    const { startedAtMs, requests, timeToFirstToken, timePerOutputToken, promptTokens, completionTokens } =
      this.#counters;
    const serving = this.#serving;
    const proof = serving?.proof;
    return {
      schemaVersion: 1,
      deviceId,
      startedAtMs,
      atMs: clock.now(),
      variant: serving === null ? null : { artifactDigest: serving.artifactDigest, name: serving.name },
      timeToFirstToken,
      timePerOutputToken,
      requests,
      promptTokens,
      completionTokens,
      memory: { residentBytes: memory.residentBytes(), peakBytes: memory.peakBytes() },
      machine: this.#machine,
      joulesPerToken: proof?.timing?.joulesPerToken ?? null,
      probe:
        serving === null || proof?.agreementWithDense == null || proof.agreementWithBuilder === null
          ? null
          : {
              agreementWithDense: proof.agreementWithDense,
              agreementWithBuilder: proof.agreementWithBuilder,
              atMs: serving.activatedAtMs,
            },
    };
  }

  /** Text in the Prometheus exposition format, and its content type. */
  async exposition(): Promise<{ text: string; contentType: string }> {
    await this.look();
    return { text: await this.#metrics.registry.metrics(), contentType: this.#metrics.registry.contentType };
  }
}
