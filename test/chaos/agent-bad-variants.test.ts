/** Variants that must never serve, and downloads that never end well by themselves. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { copyFileSync, linkSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { artifactFiles, Probe } from "@espalier/shared/contracts/manifest";
import { hex, objectBuckets } from "@espalier/shared/nats-names";
import { Objm } from "@nats-io/obj";
import { makeArtifact } from "../../agent/src/testing/artifact.ts";
import { maxTrialAttempts } from "../../agent/src/update/decide/next-step.ts";
import { eventually, reached } from "../eventually.ts";
import { injections, isThorough, onlyInChaos, record } from "./kit/injections.ts";
import { type Site, startSite } from "./kit/site.ts";
import { type ChaosVariant, tinyVariant, weightChunks, withManifest } from "./kit/variant.ts";

let good: ChaosVariant;
let other: ChaosVariant;
let outside: string;
before(async () => {
  good = await tinyVariant("dense-q8b128");
  other = await tinyVariant("dense-q4b32");
  outside = mkdtempSync(join(tmpdir(), "espalier-outside-"));
});
after(() => rmSync(outside, { recursive: true }));

async function startGood(t: Parameters<typeof startSite>[0], agentArgs: string[] = []): Promise<Site> {
  const site = await startSite(t, { agentArgs });
  await site.agent.start();
  assert.equal((await site.outcome(await site.assign(good))).state, "STATE_ACTIVE");
  return site;
}

async function stillServes(site: Site, variant: ChaosVariant): Promise<void> {
  await eventually(async () => assert.equal((await site.serving())?.digest, variant.digest, site.agent.log));
}

/** Replaces the name of the weights' file in the graph by one as long: what ONNX Runtime would open. */
function pointingTo(path: string) {
  assert.equal(path.length, artifactFiles.weights.length, `${path} must be as long`);
  return (files: Map<string, Uint8Array>): void => {
    const graph = Buffer.from(files.get(artifactFiles.graph)!);
    const name = Buffer.from(artifactFiles.weights);
    for (let at = graph.indexOf(name); at >= 0; at = graph.indexOf(name, at)) graph.write(path, at);
    files.set(artifactFiles.graph, graph);
  };
}

function editProbe(edit: (probe: Probe) => Probe) {
  return (files: Map<string, Uint8Array>): void => {
    const probe = Probe.parse(JSON.parse(Buffer.from(files.get(artifactFiles.probe)!).toString()));
    files.set(artifactFiles.probe, Buffer.from(JSON.stringify(edit(probe))));
  };
}

const quickOnes = ["a graph that is none", "first logits of another model"];

test("a variant that can't be what it should is never active, reported once with the values, and not tried again", async (t) => {
  const site = await startGood(t, ["--memory", "4GiB"]);
  const weightsOf4Bit = other.objects;
  const bad: Record<string, { variant: ChaosVariant; reason: RegExp }> = {
    "a graph that is none": {
      variant: await tinyVariant("dense-q4b32", (files) => files.set(artifactFiles.graph, randomBytes(2_000))),
      reason: /loading or proving failed/,
    },
    "weights of another variant under this graph": {
      variant: await tinyVariant("dense-fp32", (files) =>
        files.set(
          artifactFiles.weights,
          Buffer.concat(weightChunks(other).map((digest) => weightsOf4Bit.get(digest)!)),
        ),
      ),
      reason: /manifest .* is invalid: tensor .* does not lie inside|loading or proving failed/,
    },
    "a tokenizer that is none": {
      variant: await tinyVariant("dense-q4b32", (files) => files.set(artifactFiles.tokenizer, Buffer.from("[]"))),
      reason: /loading or proving failed/,
    },
    "first logits of another model": {
      variant: await tinyVariant(
        "dense-q4b32",
        editProbe((probe) => ({
          ...probe,
          firstLogits: { ...probe.firstLogits, values: probe.firstLogits.values.toReversed() },
        })),
      ),
      reason: /first logits have cosine -?[\d.]+ with the builder's; at least [\d.]+ is needed/,
    },
    "a probe set answered otherwise": {
      variant: await tinyVariant(
        "dense-q4b32",
        editProbe((probe) => ({
          ...probe,
          prompts: probe.prompts.map((prompt) => ({ ...prompt, variantTop1: prompt.variantTop1.map((id) => id ^ 1) })),
        })),
      ),
      reason:
        /the probe set agrees with the builder at [\d.]+ % of its decisive positions; at least [\d.]+ % is needed/,
    },
    "more memory than its owner allows": {
      variant: withManifest(
        { ...other.manifest, shape: { ...other.manifest.shape, weightBytes: 8 * 2 ** 30 } },
        other.objects,
      ),
      reason: /needs at least \d+ bytes of memory .* budget is \d+/,
    },
    "a file outside its folder": {
      variant: withManifest(
        { ...other.manifest, files: other.manifest.files.map((file, i) => (i > 0 ? file : { ...file, path: "../x" })) },
        other.objects,
      ),
      reason: /manifest .* is invalid/,
    },
  };
  const generations: number[] = [];
  const chosen = Object.entries(bad).filter(([what]) => isThorough || quickOnes.includes(what));
  for (const [what, { variant, reason }] of chosen) {
    const n = await site.assign(variant);
    generations.push(n);
    const outcome = await site.outcome(n);
    assert.equal(outcome.state, "STATE_FAILED", what);
    assert.match(outcome.reason, reason, what);
    assert.ok(outcome.proof, `${what}: what was measured is reported`);
    await stillServes(site, good);
  }
  await site.agent.end("SIGKILL");
  const said = site.coordinator.messages.length;
  await site.agent.start();
  await stillServes(site, good);
  const again = site.coordinator.messages.slice(said).filter(({ status }) => status?.state === "STATE_PROVING");
  assert.deepEqual(again, [], "nothing is tried again after a restart");
  for (const n of generations)
    assert.equal(site.reports(n).filter(({ state }) => state === "STATE_FAILED").length, 1, `generation ${n}`);
  record({
    faults: [4, 5, 11],
    fault: Object.keys(bad).join("; "),
    injections: generations.length,
    outcome: "never active, the old variant served, reported once with the values, not tried after a restart",
  });
});

test("a variant that takes the process down each time it loads is given up, also over restarts", {
  skip: onlyInChaos,
}, async (t) => {
  const site = await startGood(t);
  const n = await site.assign(other);
  for (let death = 1; death <= maxTrialAttempts; death++) {
    // What the kernel's memory killer does.
    await reached(() => site.agent.state().trial?.attempts === death);
    await site.agent.end("SIGKILL");
    await site.agent.start();
  }
  const { state, reason } = await site.outcome(n);
  assert.equal(state, "STATE_FAILED");
  assert.match(reason, new RegExp(`died ${maxTrialAttempts} times while it proved the variant`));
  await stillServes(site, good);
  await site.agent.end("SIGTERM");
  await site.agent.start();
  await stillServes(site, good);
  assert.equal(site.agent.state().trial, null);
  assert.equal(site.reports(n).filter((report) => report.state === "STATE_FAILED").length, 1);
  record({
    faults: [4],
    fault: "agent killed by SIGKILL each time it loads the new variant (out of memory)",
    injections: maxTrialAttempts,
    outcome: "the old variant served after each, the new one was given up after the second",
  });
});

test("a graph that reads its weights from outside its folder is refused, whatever lies there", {
  skip: onlyInChaos,
}, async (t) => {
  const site = await startGood(t);
  const weights = Buffer.concat(weightChunks(other).map((digest) => other.objects.get(digest)!));
  const escapes = ["../weights.data", "/tmp/weight.bin"];
  for (const path of escapes) {
    const variant = await tinyVariant("dense-q4b32", pointingTo(path));
    const target = path.startsWith("/") ? path : join(site.agent.folder, "variants", hex(variant.digest), path);
    const n = await site.assign(variant, { without: [...variant.objects.keys()].slice(0, 1) });
    writeFileSync(target, weights);
    t.after(() => rmSync(target, { force: true }));
    await site.complete(variant);
    const { state, reason } = await site.outcome(n);
    assert.equal(state, "STATE_FAILED", path);
    assert.match(reason, /loading or proving failed/, path);
    await stillServes(site, good);
  }
  record({
    faults: [22],
    fault: `ONNX external data through ${escapes.join(" and ")} that holds the right weights`,
    injections: escapes.length,
    outcome: "refused, the old variant served",
  });
});

test("a weights file that became a symbolic or hard link to an outside file is not loaded but fetched anew", {
  skip: onlyInChaos,
}, async (t) => {
  const site = await startGood(t);
  const file = join(site.agent.folder, "variants", hex(good.digest), artifactFiles.weights);
  const links: Record<string, (target: string) => void> = {
    symbolic: (target) => symlinkSync(target, file),
    hard: (target) => linkSync(target, file),
  };
  for (const [kind, make] of Object.entries(links)) {
    await site.agent.end("SIGTERM");
    const target = join(dirname(site.agent.folder), `${kind}.data`);
    copyFileSync(file, target);
    rmSync(file);
    make(target);
    await site.agent.start();
    await stillServes(site, good);
    assert.match(site.agent.log, /not a plain file|hard links/, kind);
  }
  record({
    faults: [22],
    fault: "weights of the active variant replaced by a symbolic and a hard link to an outside file",
    injections: 2,
    outcome: "refused before the runtime opened it; a plain file was made again from chunks",
  });
});

test("an object with a flipped bit, cut short or longer than listed is refused, and only it is fetched again", {
  skip: onlyInChaos,
}, async (t) => {
  const site = await startGood(t);
  const bucket = await new Objm(site.connection).create(objectBuckets.artifacts);
  const spoil: Record<string, (bytes: Buffer) => Uint8Array> = {
    "a flipped bit": (bytes) => Buffer.concat([Buffer.from([bytes[0]! ^ 1]), bytes.subarray(1)]),
    "cut short": (bytes) => bytes.subarray(0, bytes.length - 7),
    "without end": (bytes) => Buffer.concat([bytes, randomBytes(6 * 2 ** 20)]),
  };
  const fresh = await tinyVariant("dense-fp32");
  let turn = 0;
  const rounds = Math.ceil(injections(3) / 20);
  for (let round = 0; round < rounds; round++)
    for (const [what, damage] of Object.entries(spoil)) {
      const variant = await tinyVariant("dense-q4b32", (files) =>
        files.set("report.json", Buffer.from(`{"r":${++turn}}`)),
      );
      const own = weightChunks(variant).filter((digest) => !good.objects.has(digest) && !fresh.objects.has(digest));
      const victim = own[turn % own.length]!;
      const right = Buffer.from(variant.objects.get(victim)!);
      // Nothing of an earlier round may be held: only the active variant and the one before it are.
      await site.outcome(await site.assign(good));
      await site.outcome(await site.assign(fresh));
      await eventually(async () => assert.equal(site.agent.list("variants").length, 2));
      if ((await bucket.info(hex(victim))) !== null) await bucket.delete(hex(victim));
      const n = await site.assign(variant, { without: [victim] });
      await bucket.putBlob({ name: hex(victim) }, damage(right));
      await eventually(async () => {
        const problem = site.reports(n).find(({ reason }) => reason.includes(hex(victim)));
        assert.ok(problem, `${what}: ${site.agent.log.slice(-2_000)}`);
      });
      assert.equal((await site.serving())?.digest, fresh.digest);
      const held = new Set(site.agent.list("chunks"));
      const missing = own.filter((digest) => !held.has(hex(digest)));
      const missingBytes = missing.reduce((sum, digest) => sum + variant.objects.get(digest)!.length, 0);
      const passed = site.link.passedBytes;
      await bucket.putBlob({ name: hex(victim) }, right);
      const { state, reason } = await site.outcome(n);
      assert.equal(state, "STATE_ACTIVE", `${what}: ${reason}`);
      // Beside the chunks that it lacks, manifest, small files and what the protocol says.
      const again = site.link.passedBytes - passed;
      assert.ok(again < missingBytes + 400_000, `${what}: ${again} bytes came, ${missingBytes} were missing`);
      await bucket.delete(hex(victim));
    }
  record({
    faults: [7, 8],
    fault: Object.keys(spoil).join(", "),
    injections: rounds * Object.keys(spoil).length,
    outcome: "refused by digest or length, reported with the object's name, only that chunk fetched again",
  });
});

test("over a slow link a download goes on at the link's pace; one that stands still is told, and resumes", async (t) => {
  const site = await startSite(t);
  await site.agent.start();
  // Random weights load nowhere: what counts is that the download comes that far.
  const { artifactDigest: digest, ...slow } = makeArtifact({ weightBytes: 3_000_000, chunkBytes: 3_000_000 });
  site.link.bytesPerSecond = 400_000;
  const n = await site.assign({ ...slow, digest });
  assert.match((await site.outcome(n)).reason, /loading or proving failed/);
  const complaints = site.reports(n).filter(({ state, reason }) => state === "STATE_DOWNLOADING" && reason !== "");
  assert.deepEqual(complaints, [], "slow is no fault");
  record({
    faults: [15],
    fault: "a link of 400 kB/s for one object of 3 MB (7.5 s)",
    injections: 1,
    outcome: "fetched in one go, no complaint",
  });
});

test("a download that stands still is told by its rate, tried again with growing waits, and resumes", {
  skip: onlyInChaos,
}, async (t) => {
  const site = await startGood(t);
  site.link.bytesPerSecond = 200_000;
  const n = await site.assign(other);
  await reached(() => site.agent.list("chunks").length >= 4);
  site.link.bytesPerSecond = 0;
  await eventually(async () => {
    const told = site.reports(n).find(({ reason }) => reason !== "");
    assert.match(told?.reason ?? "", /slower than \d+ bytes per second|timeout|disconnect/i);
    await Promise.resolve();
  }, 90_000);
  await stillServes(site, good);
  const held = site.agent.list("chunks").length;
  site.link.bytesPerSecond = Number.POSITIVE_INFINITY;
  assert.equal((await site.outcome(n)).state, "STATE_ACTIVE");
  record({
    faults: [15],
    fault: "a link that stands still in mid-download",
    injections: 1,
    outcome: `told with the minimum rate; ${held} chunks were kept and the rest fetched when the link came back`,
  });
});
