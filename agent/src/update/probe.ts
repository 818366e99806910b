import type { Probe } from "@espalier/shared/contracts/manifest";
import type { Runtime } from "../runtime/runtime.ts";

/** Cosine similarity of two vectors of one length; NaN if either has a NaN, 0 for a zero vector. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let dot = 0;
  let normA = 0;
  let normB = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? Number.NaN;
    const y = b[i] ?? Number.NaN;
    dot += x * y;
    normA += x * x;
    normB += y * y;
  }
  const norms = Math.sqrt(normA * normB);
  return norms === 0 ? 0 : dot / norms;
}

/** Cosine between the builder's first logits and the device's. */
export async function firstLogitsCosine(runtime: Runtime, probe: Probe, signal: AbortSignal): Promise<number> {
  const { tokens, indices, values } = probe.firstLogits;
  return cosine(values, await runtime.logitsAt(tokens, indices, signal));
}

export interface ProbeResult {
  readonly positions: number;
  /** Share of the decisive positions at which the device's most likely token is the builder's. */
  readonly agreementWithBuilder: number;
  /** Share of all positions at which it is the dense model's. */
  readonly agreementWithDense: number;
}

/** Runs the artifact's probe prompts, teacher-forced. */
export async function runProbe(
  runtime: Pick<Runtime, "topTokens">,
  probe: Probe,
  signal: AbortSignal,
): Promise<ProbeResult> {
  let positions = 0;
  let decisive = 0;
  let builder = 0;
  let dense = 0;
  for (const prompt of probe.prompts) {
    const own = await runtime.topTokens(prompt.tokens, signal);
    const length = Math.min(own.length, prompt.variantTop1.length, prompt.denseTop1.length);
    positions += length;
    for (let i = 0; i < length; i++) {
      if (own[i] === prompt.denseTop1[i]) dense++;
    }
    const compared = prompt.decisive ?? prompt.variantTop1.keys();
    for (const i of compared) {
      decisive++;
      if (own[i] !== undefined && own[i] === prompt.variantTop1[i]) builder++;
    }
  }
  return {
    positions,
    agreementWithBuilder: decisive === 0 ? 0 : builder / decisive,
    agreementWithDense: positions === 0 ? 0 : dense / positions,
  };
}
