import type { ClassCorrection } from "@espalier/shared/contracts/correction";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import type { Candidate } from "./decide/candidate.ts";
import type { PlanDevice } from "./decide/make-plan.ts";
import type { ResolvedSpec } from "./resolve-spec.ts";

/** Digits of the digest that name a state: enough that two states of one fleet never share them by chance. */
const digits = 16;

/**
 * Names what a plan was made from: specification, candidates with their quality, and each device's labels, measurements and
 * active variant, and corrections. It changes exactly when planning again could give something else.
 */
export function checkIndexOf(
  { spec, settings }: ResolvedSpec,
  {
    candidates,
    devices,
    corrections,
  }: {
    candidates: readonly Candidate[];
    devices: readonly PlanDevice[];
    corrections: readonly ClassCorrection[];
  },
): string {
  const facts = {
    spec: JSON.parse(JSON.stringify(spec)),
    model: settings.model.digest,
    candidates: candidates
      .map(({ recipeDigest, quality, artifact }) => ({ recipeDigest, quality, artifact: artifact?.digest ?? null }))
      .sort((a, b) => (a.recipeDigest < b.recipeDigest ? -1 : 1)),
    devices: devices
      .map(({ deviceId, labels, profile, active }) => ({
        deviceId,
        labels: { ...labels },
        measuredAtMs: profile?.measuredAtMs ?? null,
        budget: profile === null ? null : { ...profile.budget },
        active: active?.artifactDigest ?? null,
      }))
      .sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1)),
    corrections: corrections.map(({ hardwareClass, quantities }) => ({
      hardwareClass,
      factors: quantities.map(({ quantity, factor }) => ({ quantity, factor })),
    })),
  };
  return digestOfJson(facts).slice("sha256:".length, "sha256:".length + digits);
}
