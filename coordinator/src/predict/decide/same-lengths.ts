import type { VariantTiming } from "@espalier/shared/contracts/profile";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";

/** Real prompts vary a little (ours: 25 %). */
const lengthTolerance = 0.25;

/** Whether a timing was of the lengths that a specification's times refer to; of others it says nothing about them. */
export function timesTheSame(
  timing: Pick<VariantTiming, "promptTokens" | "outputTokens">,
  { promptTokens, outputTokens }: Pick<RolloutSpec, "promptTokens" | "outputTokens">,
): boolean {
  const near = (measured: number, wanted: number) => Math.abs(measured / wanted - 1) <= lengthTolerance;
  return near(timing.promptTokens, promptTokens) && near(timing.outputTokens, outputTokens);
}
