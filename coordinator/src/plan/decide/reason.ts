import type { Violation } from "@espalier/shared/contracts/plan";
import { type Candidate, klUpperBound } from "./candidate.ts";

const whats: Record<Violation["limit"], string> = {
  tpotP90Ms: "time per output token",
  ttftP90Ms: "time to first token",
  peakMemoryBytes: "peak memory",
  diskBytes: "disk",
};

/** `dense-q8b128 needs up to 41.2 ms time per output token, 37 % over the objective of 30.0 ms`. */
export function explainViolation(variantName: string, { limit, origin, allowed, predicted }: Violation): string {
  const over = Math.max(1, Math.round((predicted / allowed - 1) * 100));
  const bound = origin === "budget" ? "owner's budget" : "objective";
  return `${variantName} needs up to ${amount(limit, predicted)} ${whats[limit]}, ${over} % over the ${bound} of ${amount(limit, allowed)}`;
}

/** What a device lacks for the variant that comes nearest. */
export function explainLack(variantName: string, violations: readonly Violation[]): string {
  const lacks = violations.map(({ limit, allowed, predicted }) =>
    limit === "tpotP90Ms" || limit === "ttftP90Ms"
      ? `is ${amount(limit, predicted - allowed)} too slow in ${whats[limit]} (${amount(limit, predicted)}, allowed ${amount(limit, allowed)})`
      : `lacks ${amount(limit, predicted - allowed)} of ${limit === "diskBytes" ? "disk" : "memory"} (needs ${amount(limit, predicted)}, has ${amount(limit, allowed)})`,
  );
  return `No variant fits: for ${variantName}, which comes nearest, the device ${lacks.join(" and ")}.`;
}

export function explainQuality(candidate: Candidate): string {
  const { quality, qualitySource } = candidate;
  const source = qualitySource === "report" ? "by its report" : "by the sensitivity job";
  return `KL to the dense model at most ${klUpperBound(quality).toPrecision(3)} ${source}`;
}

function amount(limit: Violation["limit"], value: number): string {
  if (limit === "tpotP90Ms" || limit === "ttftP90Ms") return `${value.toFixed(1)} ms`;
  return `${(value / 2 ** 20).toFixed(1)} MiB`;
}
