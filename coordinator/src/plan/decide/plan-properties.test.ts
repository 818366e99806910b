import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClassCorrection, CorrectedQuantity } from "@espalier/shared/contracts/correction";
import { type Plan, upperEndOf } from "@espalier/shared/contracts/plan";
import type { Limits } from "@espalier/shared/contracts/rollout-spec";
import { ordinaryCosts, syntheticKit, syntheticProfile } from "../../predict/testing/synthetic-device.ts";
import { syntheticCandidates } from "../testing/synthetic-candidates.ts";
import { syntheticRequest } from "../testing/synthetic-request.ts";
import { compareCandidates } from "./candidate.ts";
import { makePlan, type PlanDevice, type PlanRequest } from "./make-plan.ts";

const kit = syntheticKit();
const candidates = syntheticCandidates();
const mebi = 2 ** 20;
const seeds = Array.from({ length: 40 }, (_, seed) => seed + 1);

/** Repeatable numbers in [0, 1), so that a failing case can be run again by its seed. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Up to 8 devices of any speed and budget under any mix of limits. */
function randomRequest(seed: number): PlanRequest {
  const next = random(seed * 7919);
  const perhaps = (share: number, value: () => number) => (next() < share ? value() : null);
  const devices = Array.from({ length: 1 + Math.floor(next() * 8) }, (_, index): PlanDevice => {
    const slowness = 0.4 + 4 * next();
    const costs = {
      ...ordinaryCosts,
      fixedMs: slowness * ordinaryCosts.fixedMs,
      layerMs: slowness * ordinaryCosts.layerMs,
      ffnColumnMs: slowness * ordinaryCosts.ffnColumnMs,
    };
    const memoryBytes = perhaps(0.5, () => Math.round((230 + 300 * next()) * mebi));
    const diskBytes = perhaps(0.3, () => Math.round((120 + 250 * next()) * mebi));
    const deviceId = `d${index}`;
    const watts = perhaps(0.5, () => 2 + 20 * next());
    const profile = syntheticProfile({ deviceId, kit, costs, memoryBytes, diskBytes, watts });
    return { deviceId, name: deviceId, labels: { half: String(index % 2) }, profile, missing: "", active: null };
  });
  const limits = (share: number): Limits => {
    const entries = [
      ["tpotP90Ms", perhaps(share, () => 10 + 60 * next())],
      ["ttftP90Ms", perhaps(share, () => 100 + 800 * next())],
      ["downloadSeconds", perhaps(share / 2, () => 0.5 + 2 * next())],
      ["joulesPerToken", perhaps(share / 2, () => 0.05 + next())],
    ] as const;
    return Object.fromEntries(entries.filter(([, value]) => value !== null));
  };
  const spec = {
    limits: limits(0.7),
    overrides: next() < 0.5 ? [{ selector: "half=1", limits: limits(0.5) }] : [],
    qualityFloor: next() < 0.3 ? { maxKl: 0.3 + next() } : {},
    maxVariants: 1 + Math.floor(next() * 5),
    buildFallbacks: next() < 0.8,
  };
  return syntheticRequest(devices, spec, { corrections: next() < 0.5 ? [randomCorrection(next)] : [] });
}

/** Of the class that all these devices are of. */
function randomCorrection(next: () => number): ClassCorrection {
  const quantities = CorrectedQuantity.options.map((quantity) => {
    const factor = 0.5 + 1.5 * next();
    return { quantity, factor, medianRatio: factor, devices: 5, bounded: false };
  });
  return { hardwareClass: "test-2c-1t", quantities };
}

const served = ({ devices }: Plan) => devices.filter(({ choice }) => choice !== null).length;
const rank = new Map([...candidates].sort(compareCandidates).map(({ recipeDigest }, index) => [recipeDigest, index]));

test("no choice and no step of a ladder breaks a limit by its own prediction", () => {
  for (const seed of seeds) {
    const request = randomRequest(seed);
    const plan = makePlan(request);
    assert.ok(plan.variants.length <= request.spec.maxVariants);
    for (const { choice, limits, ladder } of plan.devices) {
      if (choice === null) continue;
      const { tpotMs, ttftMs, peakMemoryBytes, diskBytes, downloadSeconds, joulesPerToken } = choice.prediction;
      for (const [prediction, allowed] of [
        [tpotMs, limits.tpotP90Ms],
        [ttftMs, limits.ttftP90Ms],
        [peakMemoryBytes, limits.peakMemoryBytes],
        [diskBytes, limits.diskBytes],
        [downloadSeconds, limits.downloadSeconds],
        [joulesPerToken, limits.joulesPerToken],
      ] as const) {
        const upper = prediction === null ? 0 : upperEndOf(prediction);
        assert.ok(upper <= (allowed ?? Infinity), `seed ${seed}: ${upper} of ${allowed}`);
      }
      for (const step of ladder) {
        assert.ok(step.tpotP90Ms <= (limits.tpotP90Ms ?? Infinity), `seed ${seed}`);
        assert.ok(step.peakMemoryBytes <= (limits.peakMemoryBytes ?? Infinity), `seed ${seed}`);
      }
    }
  }
});

test("a ladder has only steps that are built, and is empty only where the plan says that nothing is to step down to", () => {
  for (const seed of seeds) {
    const request = randomRequest(seed);
    const plan = makePlan({ ...request, spec: { ...request.spec, buildFallbacks: true } });
    assert.ok(plan.fallbacks.length <= request.spec.maxVariants);
    const built = new Set([...plan.variants, ...plan.fallbacks].map(({ recipeDigest }) => recipeDigest));
    for (const { ladder } of plan.devices)
      for (const { recipeDigest } of ladder) assert.ok(built.has(recipeDigest), `seed ${seed}`);
    const bare = plan.devices.filter(({ choice, ladder }) => choice !== null && ladder.length === 0).length;
    const said = plan.notes.map((note) => Number(/^Nothing to step down to for (\d+) device/.exec(note)?.[1] ?? 0));
    assert.equal(Math.max(0, ...said), bare, `seed ${seed}`);
    const needed = plan.fallbacks.reduce((sum, { neededBy }) => sum + neededBy, 0);
    const without = makePlan({ ...request, spec: { ...request.spec, buildFallbacks: false } });
    const bareThen = without.devices.filter(({ choice, ladder }) => choice !== null && ladder.length === 0).length;
    assert.equal(needed, bareThen - bare, `seed ${seed}`);
    assert.deepEqual(
      without.devices.map(({ choice }) => choice),
      plan.devices.map(({ choice }) => choice),
    );
  }
});

test("with room for all variants, looser budgets and limits never give a device less quality", () => {
  for (const seed of seeds) {
    const request = randomRequest(seed);
    const all = { ...request, spec: { ...request.spec, maxVariants: 16 } };
    const looser = {
      ...all,
      spec: {
        ...all.spec,
        limits: scaled(all.spec.limits),
        overrides: all.spec.overrides.map(({ selector, limits }) => ({ selector, limits: scaled(limits) })),
      },
      devices: all.devices.map((device) => {
        const { profile } = device;
        if (profile === null) return device;
        const { memoryBytes, diskBytes } = profile.budget;
        const budget = {
          ...profile.budget,
          memoryBytes: memoryBytes === null ? null : memoryBytes + 60 * mebi,
          diskBytes: diskBytes === null ? null : diskBytes + 60 * mebi,
        };
        return { ...device, profile: { ...profile, budget } };
      }),
    };
    const [before, after] = [makePlan(all), makePlan(looser)];
    before.devices.forEach(({ choice }, index) => {
      if (choice === null) return;
      const then = after.devices[index]?.choice;
      assert.ok(then && rank.get(then.recipeDigest)! <= rank.get(choice.recipeDigest)!, `seed ${seed}`);
    });
  }
});

test("one variant more never serves fewer devices", () => {
  for (const seed of seeds) {
    const request = randomRequest(seed);
    const more = { ...request, spec: { ...request.spec, maxVariants: request.spec.maxVariants + 1 } };
    assert.ok(served(makePlan(more)) >= served(makePlan(request)), `seed ${seed}`);
  }
});

test("the same facts in any order give the same plan, every time", () => {
  for (const seed of seeds) {
    const request = randomRequest(seed);
    const next = random(seed);
    const shuffled = <Item>(items: readonly Item[]) =>
      items
        .map((item) => ({ item, key: next() }))
        .sort((a, b) => a.key - b.key)
        .map(({ item }) => item);
    const plan = makePlan(request);
    assert.deepEqual(makePlan(request), plan, `seed ${seed}`);
    const turned = { ...request, devices: shuffled(request.devices), candidates: shuffled(request.candidates) };
    assert.deepEqual(makePlan(turned), plan, `seed ${seed}`);
  }
});

function scaled(limits: Limits): Limits {
  return Object.fromEntries(Object.entries(limits).map(([limit, allowed]) => [limit, (allowed ?? Infinity) * 1.3]));
}
