import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Inventory } from "@espalier/shared/contracts/profile";
import { enroll } from "../enroll/enroll.ts";
import type { Identity } from "../enroll/identity.ts";
import { startCoordinator, type TestCoordinator, testToken } from "../testing/coordinator.ts";
import { createLogRing } from "./log-ring.ts";
import { openReportOutbox, type ReportContent } from "./report-outbox.ts";
import { createSession, type SessionDeps } from "./session.ts";

const log = { info: () => undefined, warn: () => undefined };
const digest = `sha256:${"a".repeat(64)}`;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-session-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const inventory: Inventory = {
  hostname: "h",
  hostId: "h",
  architecture: "x64",
  os: "linux",
  cpuModel: "cpu",
  logicalCores: 1,
  instructionSets: [],
  memoryTotalBytes: 1,
  memoryAvailableBytes: 1,
  diskFreeBytes: 1,
  executionProviders: [],
  onnxruntimeVersion: "1",
  agentVersion: "1",
  powerSource: "unknown",
  thermalCelsius: null,
  energyCounter: null,
};
const content = (state: ReportContent["state"], n = 1): ReportContent => ({
  generation: { epoch: 0, n },
  artifactDigest: digest,
  state,
  reason: "",
  atMs: 1,
  downloadedBytes: 0,
  totalBytes: 0,
  proof: null,
});

async function withSession(
  name: string,
  options: Parameters<typeof startCoordinator>[0],
  body: (
    given: TestCoordinator,
    deps: SessionDeps,
    session: ReturnType<typeof createSession>,
    calls: { vouches: unknown[]; commands: unknown[]; cancelled: string[] },
  ) => Promise<void>,
): Promise<void> {
  const coordinator = await startCoordinator(options);
  const identity: Identity = await enroll({
    address: coordinator.enrollmentAddress,
    token: testToken,
    authorityPem: coordinator.authority.certificatePem,
    name: "edge-1",
    labels: {},
  });
  const calls = { vouches: [] as unknown[], commands: [] as unknown[], cancelled: [] as string[] };
  const deps: SessionDeps = {
    identity: () => identity,
    hello: () =>
      Promise.resolve({
        inventory,
        budget: { threads: 1, memoryBytes: null, diskBytes: null, cpuQuota: null },
        enforcement: { threads: "runtime", memory: "none", disk: "runtime", cpuQuota: "none" },
        generation: { epoch: 0, n: 7 },
        activeArtifactDigest: digest,
        localApiUrl: "http://127.0.0.1:1",
      }),
    outbox: await openReportOutbox(join(folder, `${name}.json`), log),
    onVouch: async (vouch) => void calls.vouches.push(vouch),
    onMeasure: (command) => void calls.commands.push(command),
    onCancelMeasurement: (id) => void calls.cancelled.push(id),
    logs: createLogRing(),
    backoff: { firstMs: 5, maxMs: 20, factor: 2 },
    clock: { now: () => 123 },
    random: () => 0,
    log,
  };
  const session = createSession(deps);
  const stop = new AbortController();
  const running = session.run(stop.signal);
  try {
    await body(coordinator, deps, session, calls);
  } finally {
    stop.abort();
    await running;
    coordinator.stop();
  }
}

test("the session opens with Hello and beats at the interval of Welcome", () =>
  withSession("hello", { heartbeatIntervalMs: 100 }, async (coordinator) => {
    const beat = await coordinator.heard(({ heartbeat }) => heartbeat != null);
    assert.equal(beat.heartbeat?.atMs, 123);
    const { hello } = coordinator.messages[0]!;
    assert.deepEqual(Inventory.parse(JSON.parse(hello!.inventory!.json)), inventory);
    assert.equal(hello!.generation!.n, 7);
    assert.equal(hello!.activeArtifactDigest, digest);
  }));

test("vouches and commands reach their handlers", () =>
  withSession("dispatch", {}, async (coordinator, _deps, _session, calls) => {
    await coordinator.heard(({ hello }) => hello != null);
    coordinator.say({ vouch: { generation: { epoch: 0, n: 8 }, artifactDigest: digest } });
    coordinator.say({ measure: { commandId: "c1", items: [{ diskWrite: {} }] } });
    coordinator.say({ cancelMeasurement: { commandId: "c1" } });
    while (calls.cancelled.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(calls.cancelled, ["c1"]);
    assert.equal(calls.vouches.length, 1);
    assert.equal(calls.commands.length, 1);
  }));

test("an unacknowledged report is sent again after a cut, and no more once it is acknowledged", () =>
  withSession("resend", { acknowledges: false }, async (coordinator, deps) => {
    await deps.outbox.add(content("active"));
    const { reportId } = (await coordinator.heard(({ status }) => status != null)).status!;
    coordinator.messages.length = 0;
    coordinator.cut();
    const again = await coordinator.heard(({ status }) => status != null);
    assert.equal(again.status!.reportId, reportId);
    assert.equal(again.status!.state, "STATE_ACTIVE");
    coordinator.say({ reportAck: { reportId } });
    while (deps.outbox.pending().length > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual((await openReportOutbox(join(folder, "resend.json"), log)).pending(), []);
  }));

test("a report made while the coordinator is away outlives the agent process", async () => {
  const path = join(folder, "outlive.json");
  await (await openReportOutbox(path, log)).add(content("failed"));
  const [report] = (await openReportOutbox(path, log)).pending();
  assert.equal(report?.state, "failed");
});

test("newer progress replaces unacknowledged progress; other states and generations stay", async () => {
  const outbox = await openReportOutbox(join(folder, "coalesce.json"), log);
  for (let i = 0; i < 5; i++) await outbox.add(content("downloading"));
  await outbox.add(content("proving"));
  await outbox.add(content("downloading", 2));
  assert.deepEqual(
    outbox.pending().map(({ state, generation }) => `${state} ${generation.n}`),
    ["downloading 1", "proving 1", "downloading 2"],
  );
});

test("a measurement that ends while disconnected is sent after the reconnect", () =>
  withSession("measure", {}, async (coordinator, _deps, session) => {
    await coordinator.heard(({ hello }) => hello != null);
    coordinator.messages.length = 0;
    coordinator.cut();
    session.sendMeasurement({ commandId: "c9", state: "failed", message: "no kit", fraction: 0 });
    const { measurement } = await coordinator.heard(({ measurement }) => measurement != null);
    assert.equal(measurement!.commandId, "c9");
    assert.equal(measurement!.state, "STATE_FAILED");
  }));
