import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import type { JobFact, RolloutFacts } from "./facts.ts";
import type { Step } from "./step.ts";

const maxNames = 3;

/** While planning waits for somebody: says for whom, once for each change that a person would want to see. */
export function tellPlanning(state: RolloutState, facts: RolloutFacts): readonly Step[] {
  const reason = waitingFor(facts);
  return reason === state.reason ? [] : [{ action: "enter", phase: "planning", reason }];
}

function waitingFor({ kit, sensitivity, devices }: RolloutFacts): string {
  if (kit.state !== "succeeded") return `building the measurement kit${jobText(kit)}`;
  const measuring = devices.filter(({ measured, measurement }) => !measured && measurement.state === "running");
  if (measuring.length > 0) return `measuring ${names(measuring)}`;
  const absent = devices.filter(({ measured, online }) => !measured && !online);
  if (sensitivity.state === "missing" && absent.length > 0) return `waiting for ${names(absent)} to connect`;
  return `trying how sensitive the model is to each level${jobText(sensitivity)}`;
}

/** In steps of 10 %: every text is a write. */
function jobText({ state, stage, fraction }: JobFact): string {
  if (state === "missing" || state === "queued") return ": waiting for a builder";
  return `: ${stage || state} ${Math.floor(fraction * 10) * 10} %`;
}

function names(devices: readonly { name: string }[]): string {
  const shown = devices.slice(0, maxNames).map(({ name }) => name);
  const more = devices.length - shown.length;
  return more === 0 ? shown.join(", ") : `${shown.join(", ")} and ${more} more`;
}
