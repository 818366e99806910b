/** Coordinator, broker and builder killed on the way of rollouts, and jobs that can't be done, in one fleet of real processes. */
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { importModel } from "@espalier/cli/commands/imports";
import { checkoutFolder } from "@espalier/cli/up/binaries";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { inboxPrefix, subjects } from "@espalier/shared/nats-names";
import { jetstream } from "@nats-io/jetstream";
import { connect, credsAuthenticator } from "@nats-io/transport-node";
import { openSession, testHello } from "../../coordinator/src/grpc/testing/test-endpoints.ts";
import { builderId } from "../../coordinator/src/identity/builder-permissions.ts";
import { eventually, reached } from "../eventually.ts";
import { type Fleet, startFleet } from "./kit/fleet.ts";
import { injections, isThorough, onlyInChaos, randomOf, record } from "./kit/injections.ts";

/** Of equal format, so that one kit and its measurements serve every rollout; no two tests build the same. */
const recipe = (sparsity: number): Recipe => ({
  schemaVersion: 1,
  pruning: { method: "magnitude", sparsity, alignment: 8, refit: false },
  quantization: { method: "rtn", bits: 8, blockSize: 32, symmetric: true, accuracyLevel: 4 },
});
const skip = onlyInChaos;

let fleet: Fleet;
const ending: (() => Promise<void>)[] = [];
before(async () => {
  if (isThorough) fleet = await startFleet({ after: (end) => void ending.push(end) }, 2);
});
after(async () => {
  for (const end of ending) await end();
});

/** Whatever else the machine does is waited for. Each look opens the database. */
const waitMs = 900_000;
const lookEveryMs = 20;

const endPhases = ["complete", "aborted", "failed", "rolled-back", "paused"];
const stages = ["planning", "building", "the canary's wave", "the second wave", "its end"];

/** How far a rollout is, by what is stored: an index into `stages`. */
function stageOf({ phase, waves }: RolloutState): number {
  if (endPhases.includes(phase)) return 4;
  if (waves[1]?.state === "running" || waves[0]?.state === "passed") return 3;
  if (waves[0]?.state === "running") return 2;
  return phase === "planning" ? 0 : 1;
}

/** Does something as soon as each stage of a rollout is reached. @returns in which stages it was done */
async function inEachStage(id: string, act: () => Promise<unknown>): Promise<string[]> {
  const done: string[] = [];
  for (let stage = 0; stage < 4; stage++) {
    await reached(() => stageOf(fleet.rollout(id)) >= stage, waitMs, lookEveryMs).catch((cause: unknown) => {
      throw new Error(`${stages[stage]} was not reached:\n${fleet.coordinator.log.slice(-4_000)}`, { cause });
    });
    const now = stages[stageOf(fleet.rollout(id))] ?? "";
    await act();
    done.push(now);
  }
  return done;
}

async function toItsEnd(id: string): Promise<RolloutState> {
  return eventually(async () => {
    const state = fleet.rollout(id);
    assert.ok(endPhases.includes(state.phase), `${state.phase}: ${fleet.coordinator.log.slice(-2_000)}`);
    return state;
  }, waitMs);
}

const generations = () =>
  new Map(fleet.query("select device_id, n from assignments").map((row) => [row["device_id"], Number(row["n"])]));

/**
 * What must hold of a complete rollout, whatever was killed on its way.
 * @param before the generations that devices had when it began
 */
function assertSound(state: RolloutState, before: ReturnType<typeof generations>): void {
  assert.equal(state.phase, "complete", state.reason);
  for (const wave of state.waves) {
    assert.equal(wave.state, "passed", wave.name);
    assert.ok(wave.gates.length > 0 && wave.gates.every(({ verdict }) => verdict === "pass"), `${wave.name}'s gates`);
    const judged = fleet.query(
      "select data from events where rollout_id = ? and kind = 'rollout.gate' and json_extract(data, '$.wave') = ?",
      state.rolloutId,
      wave.index,
    );
    // What the floor says is known before the first wave: it is no decision on what devices measured.
    const decided = wave.gates.filter(({ gate }) => gate !== "quality-floor");
    assert.equal(judged.length, decided.length, `${wave.name}: each gate is decided once`);
  }
  const lastOfFirst = Math.max(...state.devices.filter(({ wave }) => wave === 0).map((d) => d.assignedAtMs ?? 0));
  for (const device of state.devices) {
    assert.equal(device.phase, "active", device.reason);
    if (device.wave > 0) assert.ok((device.assignedAtMs ?? 0) > lastOfFirst, "no wave before the one before it");
  }
  for (const [device, n] of generations()) assert.equal(n, (before.get(device) ?? 0) + 1, "told once per rollout");
  for (const agent of fleet.agents) {
    const { assignment, failures, active } = agent.state();
    assert.deepEqual(failures, []);
    const device = state.devices.find(({ deviceId }) => deviceId === assignment?.deviceId);
    assert.equal(active?.artifactDigest, device?.artifactDigest);
  }
}

/** A rollout of two waves that builds one new variant. */
async function rollOut(
  name: string,
  sparsity: number,
): Promise<{ id: string; before: ReturnType<typeof generations> }> {
  const before = generations();
  const id = await fleet.rollOut({ name, candidates: [recipe(sparsity)], canaryShare: 0.5 });
  return { id, before };
}

test("a coordinator killed in planning, building and each wave goes on, skips no gate and tells each device once", {
  skip,
}, async () => {
  const restart = async (): Promise<void> => {
    await fleet.coordinator.end("SIGKILL");
    await fleet.coordinator.start();
  };
  const first = await rollOut("killed", 0.1);
  const killedIn = await inEachStage(first.id, restart);
  assertSound(await toItsEnd(first.id), first.before);

  const random = randomOf(16);
  const kills = Math.min(20, Math.ceil(injections(5) / 5));
  const again = await rollOut("killed-again", 0.12);
  let done = 0;
  while (done < kills && !endPhases.includes(fleet.rollout(again.id).phase)) {
    await sleep(random() * 3_000);
    await restart();
    done++;
  }
  assertSound(await toItsEnd(again.id), again.before);
  record({
    faults: [16, 19],
    fault: `coordinator killed in ${killedIn.join(", ")}, and at random moments of a second rollout`,
    injections: killedIn.length + done,
    outcome: "both completed; each gate decided once and passed, no wave early, each device told once",
  });
});

test("a broker killed in mid-rollout, its data deleted or not, is rebuilt from database and blob store", {
  skip,
}, async () => {
  let count = 0;
  for (const [losingData, sparsity] of [
    [false, 0.14],
    [true, 0.16],
  ] as const) {
    const { id, before } = await rollOut(`broker-${losingData ? "lost" : "kept"}`, sparsity);
    const killedIn = await inEachStage(id, async () => {
      await fleet.killBroker({ losingData });
      await eventually(async () => {
        const { status } = await fetch(`${fleet.endpoints.httpUrl}/readyz`);
        assert.equal(status, 200);
      });
    });
    count += killedIn.length;
    assertSound(await toItsEnd(id), before);
  }
  record({
    faults: [18],
    fault: "broker killed in planning, building and each wave, with its data folder kept and deleted",
    injections: count,
    outcome: "streams, jobs, artifacts and assignments were rebuilt; the rollouts completed, each device told once",
  });
});

/** A job that took as many builders down is given up; one fewer is survived. */
const killsOfJob = 3;

test("a builder killed in the stages of jobs resumes them, and makes no finished stage again", { skip }, async () => {
  const killedIn = new Set<string>();
  const made = new Map<string, number>();
  const finished = () => readdirSync(fleet.stagesFolder).filter((name) => name !== "unfinished");
  for (const sparsity of [0.18, 0.19, 0.21]) {
    const { id, before } = await rollOut(`stages-${sparsity * 100}`, sparsity);
    const kills = new Map<unknown, number>();
    const isBuilding = () => stageOf(fleet.rollout(id)) < 2;
    /** The running job, in a stage that no builder was killed in yet. */
    const nextVictim = () => {
      const [job] = fleet.query("select id, kind, stage from jobs where state = 'running' and stage <> '' limit 1");
      if (job === undefined || (kills.get(job["id"]) ?? 0) >= killsOfJob) return null;
      const stage = `${job["kind"]}/${job["stage"]}`;
      return killedIn.has(stage) ? null : { id: job["id"], stage };
    };
    for (;;) {
      let victim: ReturnType<typeof nextVictim> = null;
      await reached(
        () => {
          victim = nextVictim();
          return victim !== null || !isBuilding();
        },
        waitMs,
        lookEveryMs,
      );
      const { id: job, stage } = victim ?? { id: null, stage: "" };
      if (job === null) break;
      await fleet.builder.end("SIGKILL");
      killedIn.add(stage);
      kills.set(job, (kills.get(job) ?? 0) + 1);
      for (const name of finished()) made.set(name, statSync(join(fleet.stagesFolder, name)).ino);
      await fleet.builder.start();
    }
    assertSound(await toItsEnd(id), before);
  }
  for (const [name, inode] of made) {
    assert.equal(statSync(join(fleet.stagesFolder, name)).ino, inode, `${name} was made again`);
  }
  record({
    faults: [21],
    fault: `builder killed in ${[...killedIn].join(", ")}`,
    injections: killedIn.size,
    outcome: `each job was taken up again; none of ${made.size} finished stages was made twice`,
  });
});

test("a model that can't be built ends as a dead letter with the reason, while a rollout behind it completes", {
  skip,
}, async () => {
  const folder = join(fleet.root, "poison");
  cpSync(join(checkoutFolder, "models/tiny"), folder, { recursive: true });
  fillWithNaN(join(folder, "model.safetensors"));
  const poison = await importModel(fleet.client(), folder, "poison");
  const poisoned = await fleet.rollOut({ name: "poison", model: poison.digest, candidates: [recipe(0.1)] });
  const { id, before } = await rollOut("behind-poison", 0.2);
  const failed = await toItsEnd(poisoned);
  assert.equal(failed.phase, "failed");
  assert.match(failed.reason, /failed: given up after \d attempts?: .*(NaN|infinit)/);
  assertSound(await toItsEnd(id), before);
  const tried = fleet.query("select attempt from jobs where state = 'dead' and message like '%LOGITS_NOT_FINITE%'");
  assert.deepEqual(
    tried.map(({ attempt }) => attempt),
    [1],
    "and it is not tried again",
  );
  record({
    faults: [21],
    fault: "a model with NaN among its weights in a rollout, and a good one queued behind it",
    injections: 1,
    outcome: `dead letter: "${failed.reason}"; the rollout behind it completed`,
  });
});

/** Overwrites the last tensor's bytes of a safetensors file by bits that are NaN in every float format. */
function fillWithNaN(path: string): void {
  const bytes = readFileSync(path);
  bytes.fill(0x7f, bytes.length - 4_096);
  writeFileSync(path, bytes);
}

test("whatever builders and devices said in all rollouts, said again and in reverse order, changes nothing", {
  skip,
}, async (t) => {
  const { endpoints } = fleet;
  const stored = () => ({
    rollouts: fleet.query("select id, state from rollouts order by id"),
    assignments: fleet.query("select * from assignments order by device_id"),
    jobs: fleet.query("select id, state from jobs order by id"),
    variants: fleet.query("select artifact_digest from variants order by artifact_digest"),
  });
  const [agent] = fleet.agents;
  assert.ok(agent);
  await agent.end("SIGTERM");
  const beforeIt = stored();

  const builder = await connect({
    servers: endpoints.natsUrls,
    inboxPrefix: inboxPrefix(builderId),
    authenticator: credsAuthenticator(await readFile(endpoints.builderCredsPath)),
  });
  const jobs = fleet.query("select id, attempt, state from jobs");
  let said = 0;
  for (const { id, attempt } of jobs.reverse()) {
    for (const [sequence, state] of ["dead", "retrying", "running", "running"].entries()) {
      const event = {
        schemaVersion: 1,
        jobId: id,
        attempt,
        sequence,
        builderId: "late",
        atMs: 1,
        state,
        stage: "late",
        fraction: 0,
        message: "late",
        resultDigest: null,
      };
      await jetstream(builder).publish(subjects.buildEvent(String(id)), JSON.stringify(event));
      said++;
    }
  }
  await builder.close();

  const identity = JSON.parse(readFileSync(join(agent.folder, "identity/identity.json"), "utf8"));
  const addresses = {
    authority: { certificatePem: fleet.authorityPem },
    members: { address: endpoints.sessionAddress },
  };
  const session = openSession(t, addresses, identity);
  session.stream.write(testHello);
  await session.next("welcome");
  const { assignment, active } = agent.state();
  const newest = assignment?.generation.n ?? 0;
  for (let n = newest; n >= 1; n--) {
    for (const state of ["STATE_FAILED", "STATE_ACTIVE", "STATE_DOWNLOADING"] as const) {
      if (n === newest && state !== "STATE_DOWNLOADING") continue;
      const generation = { epoch: assignment?.generation.epoch ?? 0, n };
      const reportId = `late-${n}-${state}`;
      session.stream.write({
        status: { reportId, generation, artifactDigest: active?.artifactDigest ?? "", state, atMs: 1 },
      });
      assert.equal((await session.next("reportAck")).reportId, reportId);
      said++;
    }
  }
  await agent.start();
  await eventually(async () => assert.match(agent.log, /session open/));
  const pending = "select count(*) as n from outbox";
  await eventually(async () => assert.equal(fleet.query(pending)[0]?.["n"], 0));
  assert.deepEqual(stored(), beforeIt);
  record({
    faults: [19],
    fault: `build events and device reports of the past sent again, out of order`,
    injections: said,
    outcome: "acknowledged; rollouts, assignments, jobs and variants stayed as they were",
  });
});
