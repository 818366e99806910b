import { quantile } from "../../agent/src/measure/sample.ts";
import { type Comparison, quantities } from "./compare.ts";
import { deviationsOf, shareOf } from "./statistics.ts";

/** What the stated uncertainty is meant to hold: nine of ten runs. */
export const meantShare = 0.9;

/** How well stated uncertainties hold under one budget, and whether what all others teach would have helped there. */
export interface LeftOut {
  budget: string;
  quantity: Comparison["quantity"];
  within: number;
  /** By which the other budgets' uncertainties had to be multiplied to hold as much as is meant. */
  factor: number;
  /** Of this budget's runs, with that factor. */
  withFactor: number;
}

/**
 * Each budget against all others: nothing of the cost model is fitted to these variants, and a factor fitted to other budgets is
 * the simplest thing that could be. Where it moves away from 1 from budget to budget, it says nothing of the next device.
 */
export function leaveBudgetsOut(comparisons: readonly Comparison[]): LeftOut[] {
  const budgets = [...new Set(comparisons.map(({ budget }) => budget))];
  return budgets.flatMap((budget) =>
    quantities.map((quantity): LeftOut => {
      const sizes = (matches: (its: string) => boolean) =>
        comparisons
          .filter((comparison) => comparison.quantity === quantity && matches(comparison.budget))
          .flatMap(deviationsOf)
          .map(Math.abs)
          .sort((a, b) => a - b);
      const factor = quantile(
        sizes((its) => its !== budget),
        meantShare,
      );
      const here = sizes((its) => its === budget);
      const within = (limit: number) => shareOf(here.map((size) => size <= limit));
      return { budget, quantity, within: within(1), factor, withFactor: within(factor) };
    }),
  );
}
