import type { Probe } from "@espalier/shared/contracts/manifest";
import type { VariantTiming } from "@espalier/shared/contracts/profile";
import type { Proof } from "@espalier/shared/contracts/proof";
import type { Runtime } from "../runtime/runtime.ts";
import { nothingProven } from "./agent-state.ts";
import { firstLogitsCosine, runProbe } from "./probe.ts";

export interface ProveDeps {
  readonly runtime: Runtime;
  readonly probe: Probe;
  /** Times the variant by the serving path, in the host's turn. */
  readonly time: (signal: AbortSignal) => Promise<VariantTiming>;
  /** The owner's memory budget; null is no limit. */
  readonly memoryBudgetBytes: number | null;
}

/** `reason` is null for a variant that proved itself; `proof` is as far as it got. */
export interface Outcome {
  readonly proof: Proof;
  readonly reason: string | null;
}

/**
 * Proves that a loaded variant runs here as it did at the builder, and within the budget: first logits, probe set,
 * timing, peak memory, cheapest first. Errors of the runtime pass through.
 */
export async function prove(deps: ProveDeps, signal: AbortSignal): Promise<Outcome> {
  const { runtime, probe, memoryBudgetBytes } = deps;
  let proof: Proof = { ...nothingProven };
  const { minCosine } = probe.firstLogits;
  const cosine = await firstLogitsCosine(runtime, probe, signal);
  proof = { ...proof, firstLogitsCosine: Number.isFinite(cosine) ? cosine : null };
  if (!(cosine >= minCosine))
    return { proof, reason: `first logits have cosine ${cosine} with the builder's; at least ${minCosine} is needed` };

  const result = await runProbe(runtime, probe, signal);
  proof = { ...proof, ...result };
  if (result.agreementWithBuilder < probe.minAgreementWithBuilder)
    return {
      proof,
      reason: `the probe set agrees with the builder at ${percent(result.agreementWithBuilder)} of its decisive positions; at least ${percent(probe.minAgreementWithBuilder)} is needed`,
    };

  const timing = await deps.time(signal);
  proof = { ...proof, timing };
  if (memoryBudgetBytes !== null && timing.peakMemoryBytes > memoryBudgetBytes)
    return {
      proof,
      reason: `peak memory was ${timing.peakMemoryBytes} bytes; the owner's budget is ${memoryBudgetBytes}`,
    };
  return { proof, reason: null };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
