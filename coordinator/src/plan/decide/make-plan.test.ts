import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import { type Plan, upperEndOf } from "@espalier/shared/contracts/plan";
import { ordinaryCosts, syntheticKit, syntheticProfile } from "../../predict/testing/synthetic-device.ts";
import { qualityOf, syntheticCandidates } from "../testing/synthetic-candidates.ts";
import { syntheticRequest } from "../testing/synthetic-request.ts";
import { type Candidate, compareCandidates } from "./candidate.ts";
import { compileObjectives, effectiveLimits } from "./device-limits.ts";
import { makePlan, type PlanDevice, type PlanRequest } from "./make-plan.ts";
import { atBest } from "./slice-bounds.ts";

const kit = syntheticKit();
const candidates = syntheticCandidates();
const slow = { ...ordinaryCosts, fixedMs: 6, layerMs: 0.5, ffnColumnMs: 0.0009 };
const mebi = 2 ** 20;

function device(deviceId: string, options: { slow?: boolean; memoryMiB?: number; diskMiB?: number } = {}): PlanDevice {
  return {
    deviceId,
    name: deviceId,
    labels: { tier: options.slow ? "slow" : "fast" },
    profile: syntheticProfile({
      deviceId,
      kit,
      costs: options.slow ? slow : ordinaryCosts,
      memoryBytes: options.memoryMiB === undefined ? null : options.memoryMiB * mebi,
      diskBytes: options.diskMiB === undefined ? null : options.diskMiB * mebi,
    }),
    missing: "",
    active: null,
  };
}

function plan(
  devices: readonly PlanDevice[],
  spec: Partial<PlanRequest["spec"]> = {},
  other: Partial<PlanRequest> = {},
): Plan {
  return makePlan(syntheticRequest(devices, spec, other));
}

const choiceOf = (planned: Plan, deviceId: string) => planned.devices.find((d) => d.deviceId === deviceId)!;

/** Repeatable fleets of mixed devices and limits. */
function fleets(): { devices: PlanDevice[]; spec: Partial<PlanRequest["spec"]> }[] {
  const memory = [undefined, 600, 420, 330, 290, 240, 120];
  return Array.from({ length: 24 }, (_, n) => ({
    devices: Array.from({ length: 6 }, (_, i) => {
      const memoryMiB = memory[(n * 3 + i * 2) % memory.length];
      return device(`d${i}`, { slow: (n + i) % 2 === 0, ...(memoryMiB === undefined ? {} : { memoryMiB }) });
    }),
    spec: {
      limits: n % 3 === 0 ? {} : { tpotP90Ms: 12 + n * 2, ttftP90Ms: 120 + n * 20 },
      overrides: n % 4 === 0 ? [{ selector: "tier=slow", limits: { tpotP90Ms: 40 } }] : [],
      maxVariants: 1 + (n % 4),
    },
  }));
}

test("without limits every device gets the best quality", () => {
  const planned = plan([device("a"), device("b", { slow: true })]);
  assert.deepEqual(
    planned.variants.map(({ name, devices }) => [name, devices]),
    [["dense-q8b128", 2]],
  );
  assert.match(choiceOf(planned, "a").reason, /best of all candidates/);
});

test("a tight memory budget takes dense 4-bit, and a tight latency objective a pruned one", () => {
  const planned = plan([device("small", { memoryMiB: 330 }), device("slow", { slow: true })], {
    overrides: [{ selector: "tier=slow", limits: { tpotP90Ms: 33 } }],
  });
  assert.equal(choiceOf(planned, "small").choice?.variantName, "dense-q4b32a");
  assert.match(choiceOf(planned, "small").reason, /MiB peak memory, \d+ % over the owner's budget of 330.0 MiB/);
  const pruned = choiceOf(planned, "slow");
  assert.match(pruned.choice?.variantName ?? "", /^cfsp-rel-refit-\d+-q4b128a$/);
  assert.match(pruned.reason, /ms time per output token, \d+ % over the objective of 33.0 ms/);
});

test("no choice ever violates a limit by its own prediction", () => {
  for (const { devices, spec } of fleets()) {
    const planned = plan(devices, spec);
    assert.ok(planned.variants.length <= (spec.maxVariants ?? 4));
    for (const { choice, limits } of planned.devices) {
      if (choice === null) continue;
      const { tpotMs, ttftMs, peakMemoryBytes } = choice.prediction;
      const pairs = [
        [tpotMs, limits.tpotP90Ms],
        [ttftMs, limits.ttftP90Ms],
        [peakMemoryBytes, limits.peakMemoryBytes],
      ] as const;
      for (const [prediction, allowed] of pairs) {
        if (allowed !== undefined) assert.ok(upperEndOf(prediction) <= allowed);
      }
    }
  }
});

test("every better variant that was ruled out is listed with a limit that it really breaks", () => {
  for (const { devices, spec } of fleets()) {
    for (const { ruledOut } of plan(devices, { ...spec, maxVariants: 16 }).devices) {
      for (const { violations } of ruledOut) for (const v of violations) assert.ok(v.predicted > v.allowed);
    }
  }
});

test("more memory never gives a device less quality, with room for all variants", () => {
  const rank = new Map([...candidates].sort(compareCandidates).map(({ recipeDigest }, index) => [recipeDigest, index]));
  for (const isSlow of [false, true]) {
    let previous = Infinity;
    for (let memoryMiB = 200; memoryMiB <= 700; memoryMiB += 20) {
      const { choice } = plan([device("d", { slow: isSlow, memoryMiB })], {
        maxVariants: 16,
        limits: { tpotP90Ms: 35 },
      }).devices[0]!;
      const now = choice === null ? Infinity : rank.get(choice.recipeDigest)!;
      assert.ok(now <= previous, `${memoryMiB} MiB`);
      previous = now;
    }
    assert.ok(previous < Infinity);
  }
});

test("neither the order of devices nor of candidates changes the plan", () => {
  for (const { devices, spec } of fleets()) {
    const turned = plan([...devices].reverse(), spec, { candidates: [...candidates].reverse() });
    assert.deepEqual(turned, plan(devices, spec));
  }
});

test("a limit on the number of variants costs quality, and the reason says so", () => {
  const fleet = [device("big"), device("small", { memoryMiB: 330 })];
  assert.equal(plan(fleet, { maxVariants: 2 }).variants.length, 2);
  const one = plan(fleet, { maxVariants: 1 });
  assert.deepEqual(
    one.variants.map(({ name }) => name),
    ["dense-q4b32a"],
  );
  assert.match(choiceOf(one, "big").reason, /fits but is not among the 1 variants/);
});

test("a device that nothing fits is listed with what it lacks", () => {
  const { choice, reason } = choiceOf(plan([device("tiny", { memoryMiB: 120 })]), "tiny");
  assert.equal(choice, null);
  assert.match(reason, /^No variant fits: .* lacks \d+\.\d MiB of memory \(needs \d+\.\d MiB, has 120.0 MiB\)/);
});

test("a device that was not measured is listed with the reason, and doesn't hold up the others", () => {
  const planned = plan([{ ...device("off"), profile: null, missing: "offline" }, device("on")]);
  assert.equal(choiceOf(planned, "off").reason, "Not planned: offline.");
  assert.ok(choiceOf(planned, "on").choice);
});

test("nothing below the quality floor is chosen", () => {
  const planned = plan([device("small", { memoryMiB: 330 })], { qualityFloor: { maxKl: 0.1 } });
  assert.equal(planned.devices[0]?.choice, null);
  assert.ok(planned.notes.some((note) => /Below the quality floor: .*dense-q4b32a/.test(note)));
});

test("a variant that keeps the floor on the whole text but not on a slice of it is not chosen", () => {
  const sliceOf = (kl: number) => ({ name: "code", dense: qualityOf(0), exported: qualityOf(kl) });
  const floor = { maxKl: 0.5, slices: { code: { maxKl: 0.3 } } };
  const chosenWith = (known: Pick<Candidate, "slices" | "qualitySource">) => {
    const some = candidates.map((candidate) =>
      candidate.name === "dense-q4b32a" ? { ...candidate, ...known } : { ...candidate, quality: qualityOf(9) },
    );
    const planned = plan([device("small", { memoryMiB: 330 })], { qualityFloor: floor }, { candidates: some });
    return planned.devices[0]?.choice?.variantName ?? null;
  };
  for (const qualitySource of ["report", "sensitivity"] as const) {
    assert.equal(chosenWith({ qualitySource, slices: [sliceOf(0.25)] }), "dense-q4b32a");
    assert.equal(chosenWith({ qualitySource, slices: [sliceOf(0.35)] }), null);
  }
  assert.equal(
    chosenWith({ qualitySource: "sensitivity", slices: [] }),
    "dense-q4b32a",
    "not known before it is built",
  );
  assert.equal(chosenWith({ qualitySource: "report", slices: [] }), null, "a slice that the text lacks");
});

test("before it is built a slice's figures are taken at the good end of their intervals", () => {
  const quality = { ...qualityOf(0.4), kl: 0.4, klHalfWidth: 0.15, agreement: 0.8, perplexity: 24 };
  const slice = { name: "code", tokens: 100, dense: qualityOf(0), quality, logPerplexityHalfWidth: 0.1 };
  const { exported } = atBest(slice);
  assert.ok(Math.abs(exported.kl - 0.25) < 1e-12);
  assert.ok(Math.abs(exported.agreement - (0.8 + 1.96 * 0.04)) < 1e-12);
  assert.ok(Math.abs(exported.perplexity - 24 * Math.exp(-0.1)) < 1e-12);
});

test("the report of a built variant counts instead of the sensitivity figure", () => {
  const built: Candidate[] = candidates.map((candidate) =>
    candidate.name === "dense-q4b32a"
      ? {
          ...candidate,
          quality: qualityOf(0.6),
          qualitySource: "report",
          artifact: { digest: digestOfJson("artifact"), totalBytes: 1e8, wireBytes: 8e7 },
        }
      : candidate,
  );
  const planned = plan([device("small", { memoryMiB: 330 })], {}, { candidates: built });
  assert.notEqual(planned.devices[0]?.choice?.variantName, "dense-q4b32a");
  assert.equal(planned.frontier.find(({ name }) => name === "dense-q4b32a")?.qualitySource, "report");
});

test("equal devices with one variant have a smaller one built to step down to, and it is counted", () => {
  const fleet = [device("a"), device("b"), device("c")];
  const planned = plan(fleet);
  assert.deepEqual(
    planned.variants.map(({ name }) => name),
    ["dense-q8b128"],
  );
  assert.deepEqual(
    planned.fallbacks.map(({ name, devices, neededBy }) => [name, devices, neededBy]),
    [["dense-q4b32a", 0, 3]],
  );
  for (const { ladder } of planned.devices)
    assert.deepEqual(
      ladder.map(({ variantName }) => variantName),
      ["dense-q4b32a"],
    );
  assert.match(
    planned.fallbacks[0]!.text,
    /3 devices have nothing else to step down to. At least \d+ % less peak memory/,
  );
  assert.deepEqual(planned.cost?.variantsToBuild, ["dense-q8b128", "dense-q4b32a"]);
  const bare = plan(fleet, { buildFallbacks: false });
  assert.deepEqual([bare.fallbacks, bare.devices[0]?.ladder], [[], []]);
  assert.deepEqual(
    [bare.cost?.variantsToBuild, bare.cost?.downloadBytes],
    [["dense-q8b128"], planned.cost?.downloadBytes],
  );
});

test("what other devices run needs no fallback beside it, and what is built already is taken first", () => {
  const ladderOf = (planned: Plan) => choiceOf(planned, "big").ladder.map(({ variantName }) => variantName);
  const mixed = plan([device("big"), device("small", { memoryMiB: 340 })]);
  assert.equal(ladderOf(mixed)[0], "dense-q4b32a");
  assert.ok(!mixed.fallbacks.some(({ name }) => name === "dense-q4b32a"));
  const artifact = { digest: digestOfJson("artifact"), totalBytes: 80e6, wireBytes: null };
  const built = "shortgpt-refit-10-q4b128a";
  const known = candidates.map((c) => (c.name === built ? { ...c, artifact } : c));
  const planned = plan([device("big")], {}, { candidates: known });
  assert.deepEqual([planned.fallbacks[0]?.name, ladderOf(planned)], [built, [built]]);
  assert.deepEqual(planned.cost?.variantsToBuild, ["dense-q8b128"]);
});

test("a fallback keeps the quality floor and the device's limits, or there is none and the plan says so", () => {
  const noted = ({ fallbacks, notes }: Plan) => [
    fallbacks.length,
    notes.filter((note) => note.startsWith("Nothing to step down to for 1 device:")).length,
  ];
  assert.deepEqual(noted(plan([device("big")], { qualityFloor: { maxKl: 0.1 } })), [0, 1]);
  assert.deepEqual(noted(plan([device("big")], { qualityFloor: { maxKl: 0.3 } })), [1, 0]);
});

test("disk must hold the running variant and the new one, but no variant twice; what is downloaded travels packed", () => {
  const artifact = { digest: digestOfJson("artifact"), totalBytes: 150e6, wireBytes: 120e6 };
  const built = candidates.map((c) => (c.name === "dense-q8b128" ? { ...c, artifact } : c));
  const on = (active: PlanDevice["active"]) =>
    plan([{ ...device("d", { diskMiB: 350 }), active }], {}, { candidates: built }).devices[0]!;
  assert.equal(on(null).choice?.variantName, "dense-q8b128");
  assert.equal(on(null).downloadBytes, 120e6);
  const same = on({ artifactDigest: artifact.digest, variantName: "dense-q8b128", totalBytes: 150e6 });
  assert.equal(same.choice?.variantName, "dense-q8b128");
  assert.equal(same.downloadBytes, 0);
  const other = on({ artifactDigest: digestOfJson("other"), variantName: "other", totalBytes: 100e6 });
  assert.notEqual(other.choice?.variantName, "dense-q8b128");
});

test("later overrides win limit by limit, and none lifts the owner's budget", () => {
  const objectives = compileObjectives({
    limits: { tpotP90Ms: 10, peakMemoryBytes: 500 },
    overrides: [
      { selector: "tier=slow", limits: { tpotP90Ms: 20, ttftP90Ms: 30 } },
      { selector: "tier=slow", limits: { tpotP90Ms: 25, peakMemoryBytes: 900 } },
      { selector: "tier=other", limits: { tpotP90Ms: 1 } },
    ],
  });
  const budget = { threads: 1, memoryBytes: 700, diskBytes: null, cpuQuota: null };
  const limits = effectiveLimits(objectives, { tier: "slow" }, budget);
  assert.deepEqual(limits, [
    { limit: "tpotP90Ms", origin: "objective", allowed: 25 },
    { limit: "ttftP90Ms", origin: "objective", allowed: 30 },
    { limit: "peakMemoryBytes", origin: "objective", allowed: 900 },
    { limit: "peakMemoryBytes", origin: "budget", allowed: 700 },
  ]);
});
