import type { Plan, PlannedDevice, Violation } from "@espalier/shared/contracts/plan";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import { EspalierError } from "@espalier/shared/errors";

/** Limits that nothing keeps: a plan under them tells what every candidate would cost on every device. */
export const impossibleLimits = { tpotP90Ms: 1e-6, ttftP90Ms: 1e-6, peakMemoryBytes: 1, diskBytes: 1 };

/** Upper ends of the predictions for one candidate on one device. */
export interface CandidateCost {
  name: string;
  recipe: Recipe;
  tpotMs: number;
  peakMemoryBytes: number;
  diskBytes: number;
}

/** Reads the cost of every candidate, best quality first, off a plan under `impossibleLimits`. */
export function candidateCosts(plan: Plan, deviceName: string): CandidateCost[] {
  const device = plan.devices.find((planned) => planned.name === deviceName);
  if (device === undefined) throw new EspalierError("demo.device-missing", `the plan lacks ${deviceName}`);
  const costs = plan.frontier.flatMap((candidate) => {
    const violations = violationsOf(device, candidate.name);
    const tpotMs = predicted(violations, "tpotP90Ms");
    const peakMemoryBytes = predicted(violations, "peakMemoryBytes");
    const diskBytes = predicted(violations, "diskBytes");
    if (tpotMs === undefined || peakMemoryBytes === undefined || diskBytes === undefined) return [];
    return [{ name: candidate.name, recipe: candidate.recipe, tpotMs, peakMemoryBytes, diskBytes }];
  });
  if (costs.length === 0) throw new EspalierError("demo.not-planned", `${deviceName}: ${device.reason}`);
  return costs;
}

function violationsOf(device: PlannedDevice, variantName: string): Violation[] {
  return device.ruledOut.find((ruledOut) => ruledOut.variantName === variantName)?.violations ?? [];
}

function predicted(violations: Violation[], limit: Violation["limit"]): number | undefined {
  return violations.find((violation) => violation.limit === limit && violation.origin === "objective")?.predicted;
}

const isDense = ({ recipe }: CandidateCost) => recipe.pruning.method === "none";
const hasBits = ({ recipe }: CandidateCost, bits: number) =>
  recipe.quantization.method === "rtn" && recipe.quantization.bits === bits;

/** The best dense candidate of a width. */
export function bestDense(costs: CandidateCost[], bits: number): CandidateCost {
  const found = costs.find((cost) => isDense(cost) && hasBits(cost, bits));
  if (found === undefined) throw new EspalierError("demo.candidate-missing", `no dense ${bits}-bit candidate`);
  return found;
}

/** Memory differences below this share drown in the noise of a process's resident set. */
const memoryMarginShare = 0.05;

/** A budget that the dense 4-bit variant keeps and the 8-bit one breaks: of memory where that is measurable, else of disk. */
export function fourBitBudget(costs: CandidateCost[]): { memory: number } | { disk: number } {
  const eight = bestDense(costs, 8);
  const four = bestDense(costs, 4);
  const gap = eight.peakMemoryBytes - four.peakMemoryBytes;
  return gap > memoryMarginShare * eight.peakMemoryBytes
    ? { memory: Math.round(four.peakMemoryBytes + gap / 2) }
    : { disk: Math.round((eight.diskBytes + four.diskBytes) / 2) };
}

/** How far under the dense variant's prediction the third device's limit lies: about as far as predictions err. */
const speedUp = 0.92;

/** A CPU quota stalls for some milliseconds at a time: requests of shorter tokens can't be told apart by their times. */
const shortestTimedTokenMs = 2;

/** A limit that no dense variant keeps and some pruned one does: of time where a token outlasts the quota's stalls, else of disk. */
export function prunedLimits(costs: CandidateCost[]): { tpotP90Ms: number } | { diskBytes: number } {
  const dense = costs.filter(isDense);
  const least = (key: "tpotMs" | "diskBytes", among: CandidateCost[]) => Math.min(...among.map((cost) => cost[key]));
  const limit = (key: "tpotMs" | "diskBytes") => Math.max(least(key, dense) * speedUp, least(key, costs) * 1.02);
  return least("tpotMs", dense) > shortestTimedTokenMs
    ? { tpotP90Ms: limit("tpotMs") }
    : { diskBytes: Math.round(limit("diskBytes")) };
}
