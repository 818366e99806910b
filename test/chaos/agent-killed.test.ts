/** An agent killed anywhere on the way from one variant to the next. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import { Manifest } from "@espalier/shared/contracts/manifest";
import { hex } from "@espalier/shared/nats-names";
import { maxTrialAttempts } from "../../agent/src/update/decide/next-step.ts";
import { eventually, reached } from "../eventually.ts";
import { injections, isThorough, randomOf, record } from "./kit/injections.ts";
import { outcomeWithinMs, type Site, startSite } from "./kit/site.ts";
import { type ChaosVariant, tinyVariant } from "./kit/variant.ts";

/** Slow enough that a download of the tiny model takes about a second. */
const linkBytesPerSecond = 2_000_000;
let variants: ChaosVariant[];
before(async () => {
  variants = [await tinyVariant("dense-q8b128"), await tinyVariant("dense-q4b32"), await tinyVariant("dense-fp32")];
});

/** Where an update stands, by what an observer sees of it from outside. Later ones hold only after earlier ones. */
const steps: Readonly<Record<string, (site: Site, variant: ChaosVariant, n: number) => boolean>> = {
  assigned: (site, _, n) => site.agent.state().assignment?.generation.n === n,
  "first chunk": (site) => looseChunks(site) > 0,
  "half of the chunks": (site, variant) => looseChunks(site) > variant.objects.size / 2,
  assembling: (site, variant) => site.agent.list("variants").some((name) => name === `${hex(variant.digest)}.partial`),
  assembled: (site, variant) => site.agent.list("variants").includes(hex(variant.digest)),
  "trial begun": (site, _, n) => site.agent.state().trial?.generation.n === n,
  activated: (site, variant) => site.agent.state().active?.artifactDigest === variant.digest,
  reported: (site, _, n) => site.reports(n).some(({ state }) => state === "STATE_ACTIVE"),
};

/** Those that once lost something: a trial that counted as failed, an end that was never reported. */
const quickSteps = ["half of the chunks", "trial begun", "activated"];

/** Kills the agent, asserts what must hold on its disk and after a restart, and waits for what the restart serves. */
async function killAndRestart(site: Site, expected: ReadonlyMap<Digest, string>): Promise<Digest> {
  await site.agent.end("SIGKILL");
  const { active, trial } = site.agent.state();
  const held = looseChunks(site);
  assertWholeVariants(site);
  assert.ok(active, "there is an active variant");
  site.link.bytesPerSecond = 0;
  await site.agent.start();
  // The link stands still: what serves now comes from the disk.
  const serving = await eventually(async () => {
    const answer = await site.serving();
    assert.ok(answer, `nothing serves: ${site.agent.log}`);
    return answer;
  });
  assert.equal(serving.digest, active.artifactDigest, "what was active serves again");
  assert.equal(serving.text, expected.get(serving.digest), "it answers as this variant always did: no mix");
  if (trial === null) assert.ok(looseChunks(site) >= held || site.agent.state().active !== active, "chunks are kept");
  site.link.bytesPerSecond = linkBytesPerSecond;
  return serving.digest;
}

/** A folder under its final name holds every file of its manifest, byte for byte. */
function assertWholeVariants({ agent }: Site): void {
  for (const name of agent.list("variants").filter((entry) => !entry.endsWith(".partial"))) {
    const folder = join(agent.folder, "variants", name);
    const manifest = readFileSync(join(folder, "manifest.json"));
    assert.equal(digestOfBytes(manifest), `sha256:${name}`);
    for (const { path, digest } of Manifest.parse(JSON.parse(manifest.toString())).files)
      assert.equal(digestOfBytes(readFileSync(join(folder, path))), digest, `${name}/${path}`);
  }
}

function looseChunks({ agent }: Site): number {
  return agent.list("chunks").filter((name) => !name.endsWith(".partial")).length;
}

/** A device that was given all variants once, so that each one's answer is known. */
async function startDevice(t: Parameters<typeof startSite>[0]) {
  const site = await startSite(t);
  await site.agent.start();
  const expected = new Map<Digest, string>();
  for (const variant of variants) {
    const { state, reason } = await site.outcome(await site.assign(variant));
    assert.equal(state, "STATE_ACTIVE", reason);
    const answer = await site.serving();
    assert.equal(answer?.digest, variant.digest);
    expected.set(variant.digest, answer.text);
  }
  site.link.bytesPerSecond = linkBytesPerSecond;
  let next = 0;
  return { site, expected, nextVariant: () => variants[next++ % variants.length]! };
}

test("killed at each step from assigned to reported, a device serves what was active and reaches the new variant", async (t) => {
  const { site, expected, nextVariant } = await startDevice(t);
  const rounds = Math.ceil(injections(1) / 20);
  const chosen = Object.entries(steps).filter(([step]) => isThorough || quickSteps.includes(step));
  for (let round = 0; round < rounds; round++)
    for (const [step, isReached] of chosen) {
      const variant = nextVariant();
      const n = await site.assign(variant);
      await reached(() => isReached(site, variant, n), outcomeWithinMs);
      await killAndRestart(site, expected);
      const { state, reason } = await site.outcome(n);
      assert.equal(state, "STATE_ACTIVE", `${step}: ${reason}`);
      assert.equal((await site.serving())?.digest, variant.digest, step);
    }
  const count = rounds * chosen.length;
  record({
    faults: [2],
    fault: `agent killed at each step of an update (${Object.keys(steps).join(", ")})`,
    injections: count,
    outcome: `${count} times the variant that was active served again from the disk, and the new one was reached`,
  });
});

test("killed at random points of a download, a device keeps its chunks, serves the old variant and resumes", async (t) => {
  const { site, expected, nextVariant } = await startDevice(t);
  const random = randomOf(20);
  const kills = injections(3);
  const landedIn = new Map<string, number>();
  let done = 0;
  while (done < kills) {
    const variant = nextVariant();
    const n = await site.assign(variant);
    let diedInTrial = 0;
    // Several kills on the way of one update, each at a random moment.
    while (done < kills && !site.reports(n).some(({ state }) => endStates.includes(state))) {
      await sleep(random() * 1_200);
      const stage = stageOf(site, variant, n);
      landedIn.set(stage, (landedIn.get(stage) ?? 0) + 1);
      await killAndRestart(site, expected);
      if (stage === "trial begun") diedInTrial++;
      done++;
    }
    const { state, reason } = await site.outcome(n);
    if (diedInTrial < maxTrialAttempts) assert.equal(state, "STATE_ACTIVE", reason);
    if (state === "STATE_ACTIVE") assert.equal((await site.serving())?.digest, variant.digest);
  }
  const spread = [...landedIn].map(([stage, count]) => `${stage} ${count}`).join(", ");
  record({
    faults: [1, 2],
    fault: `agent killed at random moments of updates (${spread})`,
    injections: done,
    outcome: "each time the old or the new variant served from the disk, whole; every update resumed to its end",
  });
});

const endStates = ["STATE_ACTIVE", "STATE_FAILED"];

/** The last step that is reached now. */
function stageOf(site: Site, variant: ChaosVariant, n: number): string {
  const reached = Object.entries(steps).filter(([, isReached]) => isReached(site, variant, n));
  return reached.at(-1)?.[0] ?? "before it was assigned";
}
