import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import prettyMs from "pretty-ms";

type Build = RolloutState["builds"][number];

/** Less progress than this says nothing of the pace. */
const leastFraction = 0.02;

/** How long running builds still take, by the pace since this view began. */
export class BuildPace {
  readonly #first = new Map<string, { fraction: number; atMs: number }>();

  /** To be told of every state, so that the pace is known from the first on. */
  observe(builds: readonly Build[], nowMs: number): void {
    for (const { recipeDigest, state, fraction } of builds) {
      if (state === "running" && !this.#first.has(recipeDigest))
        this.#first.set(recipeDigest, { fraction, atMs: nowMs });
    }
  }

  /** Empty while the pace isn't known. */
  left({ recipeDigest, state, fraction }: Build, nowMs: number): string {
    const first = this.#first.get(recipeDigest);
    if (state !== "running" || first === undefined || fraction - first.fraction < leastFraction) return "";
    const leftMs = ((1 - fraction) * (nowMs - first.atMs)) / (fraction - first.fraction);
    return `about ${prettyMs(leftMs, { secondsDecimalDigits: 0 })} left`;
  }
}
