import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Plan } from "@espalier/shared/contracts/plan";
import { makePlan } from "../../coordinator/src/plan/decide/make-plan.ts";
import { choosePortfolio, type PortfolioRequest } from "../../coordinator/src/plan/decide/portfolio.ts";
import { type Measured, table, writeMeasurements } from "../write-measurements.ts";
import { planRequest, random, syntheticFleet } from "./synthetic-fleet.ts";

/** Wall and processor time of planning fleets of devices that all differ, and the portfolio search alone. */
const sizes = [1_000, 10_000, 100_000];
/** Of the whole plan at the largest size, seconds. */
const goalSeconds = 2;

const rows: { what: string; size: number; seconds: number; cpuSeconds: number; detail: string }[] = [];
const warmUp = planRequest(syntheticFleet(2_000));
makePlan(warmUp);
for (const size of sizes) await measurePlanning(size);
for (const [candidates, groups] of [
  [21, 40],
  [60, 400],
  [200, 2_000],
] as const) {
  const request = randomPortfolio(candidates, groups);
  let gap = 0;
  let loss = 0;
  const time = timed(() => {
    ({ gap, totalLoss: loss } = choosePortfolio(request));
  });
  const share = gap / loss;
  keep({
    what: `portfolio of ${request.maxVariants} among ${candidates}`,
    size: groups,
    ...time,
    detail: gap === 0 ? "exact" : `at most ${(share * 100).toFixed(1)} % from the best`,
  });
}

const largest = rows.find(({ size, what }) => what === "plan" && size === Math.max(...sizes));
const measured: Measured = {
  command: "make bench-planning",
  rows,
  goals: [
    {
      name: "seconds to plan 100,000 devices, fitting every profile included; their rows are written on demand",
      value: round(largest?.seconds ?? Number.NaN),
      goal: `at most ${goalSeconds}`,
      met: (largest?.seconds ?? Infinity) <= goalSeconds,
    },
    {
      name: "the same in seconds of one processor",
      value: round(largest?.cpuSeconds ?? Number.NaN),
      goal: `at most ${goalSeconds}`,
      met: (largest?.cpuSeconds ?? Infinity) <= goalSeconds,
    },
  ],
  page: `
Devices of 40 kinds with timings of their own, so that no fit is shared: each profile (3 formats, 9 graphs, each timed twice) is
fitted, the ${warmUp.candidates.length} candidates of the default grid are predicted on it, a portfolio of 4 is chosen, every device gets its variant, its
place in the alternatives and something to step down to, and the fleet's cost is summed. A device's row of the plan, with its
figures, reason and ladder, is written when somebody reads the rows: printing or storing a plan adds what is below. The clock
starts when the garbage of making the synthetic fleet is collected. On a machine that others use too, the wall time says less than
the processor time. A portfolio's distance from the best is by the Lagrangian bound.

${table(
  ["what", "devices or groups", "wall, s", "processor, s", ""],
  rows.map(({ what, size, seconds, cpuSeconds, detail }) => [
    what,
    size.toLocaleString("en"),
    seconds.toFixed(3),
    cpuSeconds.toFixed(3),
    detail,
  ]),
)}`,
};
await writeMeasurements("planning", "How long planning takes", measured);

async function measurePlanning(size: number): Promise<void> {
  const request = planRequest(syntheticFleet(size));
  await collectGarbage();
  let plan: Plan | undefined;
  const time = timed(() => {
    plan = makePlan(request);
  });
  const served = plan?.variants.reduce((sum, { devices }) => sum + devices, 0) ?? 0;
  keep({ what: "plan", size, ...time, detail: `${served} served by ${plan?.variants.length ?? 0} variants` });
  let rowsWritten = 0;
  const writing = timed(() => {
    rowsWritten = plan?.devices.length ?? 0;
  });
  keep({
    what: "write its rows",
    size,
    ...writing,
    detail: `${rowsWritten} devices with figures, reasons and ladders`,
  });
}

function keep(row: (typeof rows)[number]): void {
  rows.push(row);
  process.stdout.write(`${row.what}, ${row.size}: ${row.seconds.toFixed(3)} s, ${row.detail}\n`);
}

/** What making the fleet left behind is not planning's to collect. Its memory is swept by other threads after the call. */
async function collectGarbage(): Promise<void> {
  globalThis.gc?.();
  for (let isSweeping = true; isSweeping; ) {
    const before = process.cpuUsage();
    await sleep(100);
    const { user, system } = process.cpuUsage(before);
    isSweeping = user + system > 10_000;
  }
}

function timed(work: () => void): { seconds: number; cpuSeconds: number } {
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(startCpu);
  return { seconds: (performance.now() - startMs) / 1000, cpuSeconds: (user + system) / 1e6 };
}

function randomPortfolio(candidates: number, groups: number): PortfolioRequest {
  const next = random(7);
  const losses = Array.from({ length: candidates }, (_, index) => index / 10);
  return {
    losses,
    weightBytes: losses.map((_, index) => candidates - index),
    groups: Array.from({ length: groups }, () => {
      const from = Math.floor(next() * (candidates - 3));
      return {
        devices: 1 + Math.floor(next() * 50),
        feasible: losses.flatMap((_, i) => (i >= from && next() < 0.8 ? [i] : [])),
      };
    }),
    maxVariants: 4,
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
