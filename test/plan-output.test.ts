import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { renderDiff, renderPlan } from "@espalier/cli/output/plan";
import { drawPlan } from "@espalier/cli/output/plan-picture";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import { makePlan, type PlanDevice } from "../coordinator/src/plan/decide/make-plan.ts";
import { syntheticCandidates } from "../coordinator/src/plan/testing/synthetic-candidates.ts";
import { syntheticRequest } from "../coordinator/src/plan/testing/synthetic-request.ts";
import { ordinaryCosts, syntheticKit, syntheticProfile } from "../coordinator/src/predict/testing/synthetic-device.ts";

const kit = syntheticKit();
const slow = { ...ordinaryCosts, fixedMs: 6, layerMs: 0.5, ffnColumnMs: 0.0009 };
const built = { digest: digestOfJson("artifact"), totalBytes: 150e6, wireBytes: 131e6 };

function device(name: string, cpuModel: string, memoryMiB: number | null, runs = false): PlanDevice {
  const memoryBytes = memoryMiB === null ? null : memoryMiB * 2 ** 20;
  const costs = cpuModel === "Slow CPU" ? slow : ordinaryCosts;
  return {
    deviceId: name,
    name,
    labels: { tier: cpuModel === "Slow CPU" ? "slow" : "fast" },
    profile: syntheticProfile({ deviceId: name, kit, costs, cpuModel, memoryBytes }),
    missing: "",
    active: runs ? { artifactDigest: built.digest, variantName: "dense-q8b128", totalBytes: built.totalBytes } : null,
  };
}

/** A fleet in which every kind of outcome occurs: kept, changed, new, held back by each limit, by the portfolio, by nothing. */
function plan() {
  const devices = [
    device("big", "Fast CPU", null, true),
    device("small", "Fast CPU", 340, true),
    device("slow-1", "Slow CPU", null),
    device("slow-2", "Slow CPU", null),
    device("tiny", "Fast CPU", 120),
    { ...device("away", "Fast CPU", null), profile: null, missing: "offline and not measured" },
  ];
  const spec = {
    limits: { tpotP90Ms: 40 },
    overrides: [{ selector: "tier=slow", limits: { tpotP90Ms: 29 } }],
    qualityFloor: { maxKl: 1.2 },
    maxVariants: 2,
  };
  const candidates = syntheticCandidates().map((candidate) =>
    candidate.name === "dense-q8b128" ? { ...candidate, artifact: built } : candidate,
  );
  const other = { modelName: "chat", candidates, buildSeconds: 75, checkIndex: "0123456789abcdef" };
  return makePlan(syntheticRequest(devices, spec, other));
}

/** UPDATE_GOLDEN=1 writes what is printed now, to be read before it is committed. */
async function matches(name: string, text: string): Promise<void> {
  const file = new URL(`./fixtures/${name}`, import.meta.url);
  if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(file, text);
  assert.equal(text, await readFile(file, "utf8"));
}

test("a plan is printed with classes, devices, candidates, cost and what changes would buy", async () => {
  await matches("plan.txt", renderPlan(plan()));
});

test("a plan's difference to what runs leaves out what stays", async () => {
  await matches("plan-diff.txt", renderDiff(plan()));
});

test("a plan's picture has each class at its speed, its upper end and its limit", async () => {
  await matches("plan.svg", drawPlan(plan()));
});
