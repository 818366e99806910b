import assert from "node:assert/strict";
import { test } from "node:test";
import { choosePortfolio, type PortfolioRequest } from "./portfolio.ts";

/** A small generator of repeatable numbers in [0, 1), so that a failing case can be run again. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function randomRequest(seed: number, candidates: number, groups: number): PortfolioRequest {
  const next = random(seed);
  const losses = Array.from({ length: candidates }, () => next()).sort((a, b) => a - b);
  return {
    losses,
    weightBytes: losses.map(() => Math.floor(next() * 1000)),
    groups: Array.from({ length: groups }, () => ({
      devices: 1 + Math.floor(next() * 5),
      feasible: losses.flatMap((_, index) => (next() < 0.4 ? [index] : [])),
    })).filter(({ feasible }) => feasible.length > 0),
    maxVariants: 1 + Math.floor(next() * 4),
  };
}

/** Every portfolio tried, with nothing clever: the reference. */
function bruteForce({ losses, groups, maxVariants }: PortfolioRequest): { unserved: number; loss: number } {
  let best = { unserved: Infinity, loss: Infinity };
  for (let mask = 0; mask < 1 << losses.length; mask++) {
    const chosen = losses.flatMap((_, index) => ((mask >> index) & 1 ? [index] : []));
    if (chosen.length > maxVariants) continue;
    const cost = { unserved: 0, loss: 0 };
    for (const { devices, feasible } of groups) {
      const least = Math.min(...feasible.filter((index) => chosen.includes(index)).map((index) => losses[index]!));
      if (least === Infinity) cost.unserved += devices;
      else cost.loss += devices * least;
    }
    if (cost.unserved < best.unserved || (cost.unserved === best.unserved && cost.loss < best.loss)) best = cost;
  }
  return best;
}

test("the portfolio is as good as the best of all portfolios", () => {
  for (let seed = 1; seed <= 150; seed++) {
    const request = randomRequest(seed, 9, 6);
    const portfolio = choosePortfolio(request);
    const reference = bruteForce(request);
    assert.equal(portfolio.unserved, reference.unserved, `seed ${seed}`);
    assert.ok(Math.abs(portfolio.totalLoss - reference.loss) < 1e-9, `seed ${seed}`);
    assert.equal(portfolio.gap, 0);
    assert.ok(portfolio.chosen.length <= request.maxVariants);
  }
});

test("a search that was cut short says how far it may be from the best, and is no further", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const request = randomRequest(seed, 12, 12);
    const cut = choosePortfolio({ ...request, maxNodes: 3 });
    const exact = choosePortfolio(request);
    if (cut.unserved === exact.unserved) assert.ok(cut.totalLoss - cut.gap <= exact.totalLoss + 1e-9, `seed ${seed}`);
  }
});

test("the bound of a search that was cut short is never above the best portfolio, and far nearer than all candidates at once", () => {
  const gaps: number[] = [];
  const looseGaps: number[] = [];
  for (let seed = 1; seed <= 60; seed++) {
    const request = randomRequest(seed, 12, 25);
    const cut = choosePortfolio({ ...request, maxNodes: 1 });
    const exact = choosePortfolio(request);
    if (cut.unserved !== exact.unserved || exact.totalLoss === 0) continue;
    assert.ok(cut.totalLoss - cut.gap <= exact.totalLoss + 1e-9, `seed ${seed}`);
    const withAll = choosePortfolio({ ...request, maxVariants: 12 });
    if (withAll.unserved !== exact.unserved) continue;
    gaps.push((exact.totalLoss - (cut.totalLoss - cut.gap)) / exact.totalLoss);
    looseGaps.push((exact.totalLoss - withAll.totalLoss) / exact.totalLoss);
  }
  assert.ok(gaps.length > 10, `${gaps.length} cases`);
  const mean = (shares: number[]) => shares.reduce((sum, share) => sum + share, 0) / shares.length;
  assert.ok(mean(gaps) < mean(looseGaps) / 2, `${mean(gaps)} beside ${mean(looseGaps)}`);
});

test("serving one more device goes before quality", () => {
  const groups = [
    { devices: 10, feasible: [0, 2] },
    { devices: 1, feasible: [2] },
  ];
  const portfolio = choosePortfolio({ losses: [0, 0.5, 1], weightBytes: [3, 2, 1], groups, maxVariants: 1 });
  assert.deepEqual([portfolio.chosen, portfolio.unserved], [[2], 0]);
});

test("a fleet of 10,000 devices in 40 groups is planned in well under a second", () => {
  const next = random(7);
  const losses = Array.from({ length: 21 }, (_, index) => index / 10);
  const groups = Array.from({ length: 40 }, () => {
    const from = Math.floor(next() * 18);
    return { devices: 250, feasible: losses.flatMap((_, index) => (index >= from && next() < 0.8 ? [index] : [])) };
  });
  const startedMs = performance.now();
  const portfolio = choosePortfolio({ losses, weightBytes: losses.map(() => 1), groups, maxVariants: 4 });
  assert.ok(portfolio.chosen.length <= 4);
  assert.ok(performance.now() - startedMs < 3000);
});
