import type { PlanAlternative, Violation } from "@espalier/shared/contracts/plan";
import { type Candidate, klUpperBound } from "./candidate.ts";

const whats: Record<Violation["limit"], string> = {
  tpotP90Ms: "time per output token",
  ttftP90Ms: "time to first token",
  peakMemoryBytes: "peak memory",
  diskBytes: "disk",
  downloadSeconds: "download time",
  joulesPerToken: "energy per token",
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
    limit === "peakMemoryBytes" || limit === "diskBytes"
      ? `lacks ${amount(limit, predicted - allowed)} of ${limit === "diskBytes" ? "disk" : "memory"} (needs ${amount(limit, predicted)}, has ${amount(limit, allowed)})`
      : limit === "joulesPerToken"
        ? `would take ${amount(limit, predicted)} per token, allowed ${amount(limit, allowed)}`
        : `is ${amount(limit, predicted - allowed)} too slow in ${whats[limit]} (${amount(limit, predicted)}, allowed ${amount(limit, allowed)})`,
  );
  return `No variant fits: for ${variantName}, which comes nearest, the device ${lacks.join(" and ")}.`;
}

export function explainQuality(candidate: Candidate): string {
  const { quality, qualitySource } = candidate;
  const source = qualitySource === "report" ? "by its report" : "by the sensitivity job";
  return `KL to the dense model at most ${klUpperBound(quality).toPrecision(3)} ${source}`;
}

/** `10 % more memory would serve 2 more devices`. */
export function explainAlternative(alternative: Omit<PlanAlternative, "text">): string {
  const { limit, by, devicesBetter, devicesServedMore, klSaved } = alternative;
  const change = limit === "maxVariants" ? "One variant more" : `${Math.round(by * 100)} % more ${whats[limit]}`;
  const gains = [
    ...(devicesServedMore > 0 ? [`serve ${countDevices(devicesServedMore)} more`] : []),
    ...(devicesBetter > 0 ? [`give ${countDevices(devicesBetter)} a better variant`] : []),
    ...(klSaved === null ? [] : [`save ${klSaved.toPrecision(3)} of KL in total`]),
  ];
  return `${change} would ${gains.join(" and ")}.`;
}

/** What a variant that is made ready only to be stepped down to is good for. @param saved shares, of every device at least */
export function explainFallback(
  variantName: string,
  saved: { neededBy: number; memorySaved: number; timeSaved: number; bytes: number },
): string {
  const { neededBy, memorySaved, timeSaved, bytes } = saved;
  const percent = (value: number) => Math.floor(value * 100);
  const faster = percent(timeSaved) > 0 ? ` and ${percent(timeSaved)} % less time per output token` : "";
  const subject = neededBy === 1 ? "1 device has" : `${neededBy} devices have`;
  return `${variantName}: ${subject} nothing else to step down to. At least ${percent(memorySaved)} % less peak memory${faster}; ${amount("diskBytes", bytes)} to move, only for a device that steps down.`;
}

export function countDevices(count: number): string {
  return count === 1 ? "1 device" : `${count} devices`;
}

function amount(limit: Violation["limit"], value: number): string {
  if (limit === "tpotP90Ms" || limit === "ttftP90Ms") return `${value.toFixed(1)} ms`;
  if (limit === "downloadSeconds") return `${value.toFixed(1)} s`;
  if (limit === "joulesPerToken") return `${value.toPrecision(3)} J`;
  return `${(value / 2 ** 20).toFixed(1)} MiB`;
}
