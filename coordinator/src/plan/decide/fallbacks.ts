import { type AssessContext, type Assessment, upperEnd, wireBytes } from "./assess.ts";
import { klUpperBound } from "./candidate.ts";
import { createOptions, feasible, infeasible } from "./options.ts";
import { bestFeasible, choosePortfolio } from "./portfolio.ts";
import { explainFallback } from "./reason.ts";

/** A step down that takes less memory than that less could fail as what it replaces did: predictions of memory are off by as much. */
const leastMemorySaved = 0.05;

/** A candidate that no device is to run, only to step down to. */
export interface Fallback {
  candidate: number;
  /** Devices that have nothing else to step down to. */
  neededBy: number;
  text: string;
}

export interface Fallbacks {
  chosen: readonly Fallback[];
  /** Devices with a variant but nothing to step down to: nothing smaller fits them above the quality floor. */
  without: number;
}

/**
 * Whether a device that can't run `from` may step down to `to`, which it may run: the lesser quality for clearly less memory,
 * and no more time, by prediction.
 */
export function isStepDown(assessment: Assessment, from: number, to: number): boolean {
  const memory = (candidate: number) => upperEnd(assessment, candidate, "peakMemoryBytes");
  const ms = (candidate: number) => upperEnd(assessment, candidate, "tpotP90Ms");
  return to > from && memory(to) <= (1 - leastMemorySaved) * memory(from) && ms(to) < ms(from);
}

/**
 * The fewest candidates, and of those the best, by which every device has something to step down to, as far as anything fits it
 * and others don't run it anyway; what is built already comes first. They are beyond `maxVariants`, but never more than it.
 * @param choices which candidate a kind of devices gets, by the `id` of its options
 * @param run candidates that devices are to run
 */
export function chooseFallbacks(
  assessments: readonly Assessment[],
  choices: readonly (number | undefined)[],
  run: readonly number[],
  context: AssessContext,
  maxVariants: number,
): Fallbacks {
  const { candidates } = context;
  const needs: { assessment: Assessment; from: number; steps: readonly number[] }[] = [];
  const groups: { devices: number; feasible: readonly number[] }[] = [];
  const optionsOf = createOptions();
  const codes = new Uint8Array(candidates.length);
  const isBuilt = (candidate: number) => candidates[candidate]?.artifact !== null;
  let without = 0;
  for (const assessment of assessments) {
    const { options } = assessment;
    const from = choices[options.id];
    if (from === undefined) continue;
    if (run.some((to) => options.feasible.includes(to) && isStepDown(assessment, from, to))) continue;
    const steps = options.feasible.filter((to) => isStepDown(assessment, from, to));
    if (steps.length === 0) {
      without++;
      continue;
    }
    const built = steps.filter(isBuilt);
    codes.fill(infeasible);
    for (const step of built.length > 0 ? built : steps) codes[step] = feasible;
    const { id, feasible: wanted } = optionsOf(codes);
    const group = groups[id];
    if (group === undefined) groups[id] = { devices: 1, feasible: wanted };
    else group.devices++;
    needs.push({ assessment, from, steps: wanted });
  }
  const losses = candidates.map(({ quality }) => klUpperBound(quality));
  const weightBytes = candidates.map(({ shape }) => shape.weightBytes);
  let most = 0;
  let portfolio = choosePortfolio({ losses, weightBytes, groups, maxVariants: most });
  while (portfolio.unserved > 0 && most < maxVariants) {
    portfolio = choosePortfolio({ losses, weightBytes, groups, maxVariants: ++most });
  }
  const chosen = portfolio.chosen.map((candidate): Fallback => {
    let [neededBy, memorySaved, timeSaved] = [0, 1, 1];
    for (const { assessment, from, steps } of needs) {
      if (bestFeasible(portfolio.chosen, steps) !== candidate) continue;
      const saved = (limit: "peakMemoryBytes" | "tpotP90Ms") =>
        1 - upperEnd(assessment, candidate, limit) / upperEnd(assessment, from, limit);
      neededBy++;
      memorySaved = Math.min(memorySaved, saved("peakMemoryBytes"));
      timeSaved = Math.min(timeSaved, saved("tpotP90Ms"));
    }
    const name = candidates[candidate]?.name ?? "";
    const bytes = wireBytes(context, candidate);
    return { candidate, neededBy, text: explainFallback(name, { neededBy, memorySaved, timeSaved, bytes }) };
  });
  return { chosen, without: without + portfolio.unserved };
}
