/** What an agent does when its disk is full or its files are broken. */
import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { hex } from "@espalier/shared/nats-names";
import { eventually, reached } from "../eventually.ts";
import { isThorough, onlyInChaos, record } from "./kit/injections.ts";
import { type Site, startSite } from "./kit/site.ts";
import { mountSmallDisk } from "./kit/small-disk.ts";
import { type ChaosVariant, tinyVariant } from "./kit/variant.ts";

let small: ChaosVariant;
let large: ChaosVariant;
before(async () => {
  small = await tinyVariant("dense-q4b32");
  large = await tinyVariant("dense-fp32");
});

/** Waits until the device serves this variant. */
function serves(site: Site, variant: ChaosVariant): Promise<void> {
  return eventually(async () => assert.equal((await site.serving())?.digest, variant.digest, site.agent.log));
}

test("with a full disk an update is refused with the numbers, a restart serves, and room makes it go on", async (t) => {
  const disk = await mountSmallDisk(t, 24_000_000);
  if (disk === null) return t.skip("this process may not mount a file system of its own");
  const site = await startSite(t, { dataFolder: join(disk.folder, "edge") });
  await site.agent.start();
  assert.equal((await site.outcome(await site.assign(small))).state, "STATE_ACTIVE");

  await disk.fill(1_000_000);
  const before = await site.outcome(await site.assign(large));
  assert.equal(before.state, "STATE_FAILED");
  assert.match(before.reason, /needs \d+ bytes on disk; \d+ are free/);
  await serves(site, small);

  await disk.fill(0);
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await site.agent.end(signal);
    await site.agent.start();
    await serves(site, small);
    assert.ok(existsSync(join(site.agent.folder, "variants", hex(small.digest))), "nothing of it was removed");
  }

  // Room when the download begins, none in the middle of it.
  await disk.empty();
  site.link.bytesPerSecond = 2_000_000;
  const during = await site.assign(large);
  await reached(() => site.agent.list("chunks").length >= 20);
  await disk.fill(0);
  const full = await site.outcome(during);
  assert.equal(full.state, "STATE_FAILED");
  assert.match(full.reason, /ENOSPC/);
  await serves(site, small);

  await disk.empty();
  assert.equal((await site.outcome(await site.assign(large))).state, "STATE_ACTIVE");
  await serves(site, large);
  record({
    faults: [6],
    fault: "agent's disk full before a download, in the middle of one, and at a restart",
    injections: 4,
    outcome: "refused or failed with the numbers, the old variant served throughout, the next update went through",
  });
});

/** How a file breaks; in `make test` in one way only. */
const allDamages: Readonly<Record<string, (path: string) => void>> = {
  emptied: (path) => truncateSync(path),
  truncated: (path) => truncateSync(path, Math.floor(readFileSync(path).length / 2)),
  "overwritten by zeros": (path) => writeFileSync(path, Buffer.alloc(readFileSync(path).length)),
  lost: (path) => rmSync(path),
};
const damages = isThorough ? allDamages : { truncated: allDamages["truncated"]! };

test("any one file of its own, broken in any way, keeps an agent neither from serving at once nor from its identity", async (t) => {
  const site = await startSite(t);
  const { agent } = site;
  await agent.start();
  assert.equal((await site.outcome(await site.assign(large))).state, "STATE_ACTIVE");
  assert.equal((await site.outcome(await site.assign(small))).state, "STATE_ACTIVE");
  await eventually(async () => assert.deepEqual(agent.state().reported, agent.state().settled));
  const enrollments = site.coordinator.enrollments.length;
  const files = ["state.json", "reports.json", "agent.json", "identity/identity.json"];
  for (const file of files)
    for (const [damage, inflict] of Object.entries(damages)) {
      await agent.end("SIGKILL");
      inflict(join(agent.folder, file));
      site.link.bytesPerSecond = 0;
      await agent.start();
      await serves(site, small).catch((error: unknown) => assert.fail(`${file} ${damage}: ${error}`));
      site.link.bytesPerSecond = Number.POSITIVE_INFINITY;
    }
  assert.equal(site.coordinator.enrollments.length, enrollments, "it never enrolled anew");
  record({
    faults: [3],
    fault: `one of ${files.join(", ")} ${Object.keys(damages).join(", ")}`,
    injections: files.length * Object.keys(damages).length,
    outcome: "the active variant served at once, without the broker; identity and state were whole again",
  });
});

test("with every copy of its state gone it fetches nothing again; with every copy of its identity gone it says what to do", {
  skip: onlyInChaos,
}, async (t) => {
  const site = await startSite(t);
  const { agent } = site;
  await agent.start();
  assert.equal((await site.outcome(await site.assign(small))).state, "STATE_ACTIVE");
  await agent.end("SIGKILL");
  for (const name of ["state.json", "state.json.copy"]) truncateSync(join(agent.folder, name), 20);
  const passed = site.link.passedBytes;
  await agent.start();
  await serves(site, small);
  assert.ok(site.link.passedBytes - passed < small.manifest.totalBytes / 4, "the variant on the disk was proven again");

  await agent.end("SIGKILL");
  for (const name of ["identity.json", "identity.json.copy"]) truncateSync(join(agent.folder, "identity", name), 20);
  await assert.rejects(agent.start(), /ended with 78.*[\s\S]*identity[\s\S]*enroll the device again/);
});

test("a broken file of the active variant costs its chunk again, while the variant before it serves", async (t) => {
  const site = await startSite(t);
  const { agent } = site;
  await agent.start();
  assert.equal((await site.outcome(await site.assign(large))).state, "STATE_ACTIVE");
  assert.equal((await site.outcome(await site.assign(small))).state, "STATE_ACTIVE");
  const folder = join(agent.folder, "variants", hex(small.digest));
  let injections = 0;
  // A file that nothing reads to serve may be broken as well as any other.
  const files = small.manifest.files.filter(({ path }) => isThorough || path === "report.json");
  for (const { path } of files)
    for (const [damage, inflict] of Object.entries(damages)) {
      const file = join(folder, path);
      if (readFileSync(file).length < 4) continue;
      await agent.end("SIGKILL");
      const whole = `${agent.folder}.whole`;
      cpSync(folder, whole, { recursive: true });
      inflict(file);
      const passed = site.link.passedBytes;
      await agent.start();
      await serves(site, small).catch((error: unknown) => assert.fail(`${path} ${damage}: ${error}`));
      const again = site.link.passedBytes - passed;
      assert.ok(again < small.manifest.totalBytes, `${path} ${damage}: ${again} bytes`);
      assert.deepEqual(readFileSync(file), readFileSync(join(whole, path)), `${path} is whole again`);
      rmSync(whole, { recursive: true });
      injections++;
    }
  record({
    faults: [3, 7],
    fault: `a file of the active variant ${Object.keys(damages).join(", ")}`,
    injections,
    outcome: "the missing chunks were fetched again and the variant proven anew",
  });
});
