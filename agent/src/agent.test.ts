import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Assignment } from "@espalier/shared/contracts/assignment";
import { AgentEndpoints } from "@espalier/shared/contracts/context";
import { TelemetrySnapshot } from "@espalier/shared/contracts/telemetry";
import { startNatsServer, type TestNatsServer } from "@espalier/shared/testing/nats-server";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { makeArtifact, putObjects, type TestArtifact } from "./testing/artifact.ts";
import { startCoordinator, type TestCoordinator, testToken } from "./testing/coordinator.ts";
import { AgentState } from "./update/agent-state.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
let server: TestNatsServer;
let connection: NatsConnection;
let coordinator: TestCoordinator;
let root: string;
const agents = new Set<ChildProcess>();

before(async () => {
  server = await startNatsServer();
  connection = await connect({ servers: server.url });
  coordinator = await startCoordinator({ natsUrls: [server.url] });
  root = await mkdtemp(join(tmpdir(), "espalier-agent-"));
  await writeFile(join(root, "authority.pem"), coordinator.authority.certificatePem);
});
after(async () => {
  for (const agent of agents) await kill(agent);
  await connection.close();
  coordinator.stop();
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

function start(name: string, ...more: string[]): ChildProcess {
  const enrollment = ["--enroll", coordinator.enrollmentAddress, "--token", testToken, "--name", name];
  const authority = ["--authority", join(root, "authority.pem")];
  const args = ["--data", join(root, name), ...enrollment, ...authority, "--threads", "1", "--log-level", "silent"];
  const agent = spawn(process.execPath, [main, ...args, "--telemetry-interval", "0.2", ...more], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  agents.add(agent);
  return agent;
}

async function kill(agent: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
  agents.delete(agent);
  if (agent.exitCode !== null || agent.signalCode !== null) return agent.exitCode;
  const exited = once(agent, "exit");
  agent.kill(signal);
  const [code] = await exited;
  return code;
}

async function assign(name: string, n: number, { artifactDigest, manifestBytes, totalBytes }: TestArtifact) {
  const assignment: Assignment = {
    schemaVersion: 1,
    deviceId: name,
    generation: { epoch: 0, n },
    rolloutId: null,
    variant: {
      artifactDigest,
      name: "v",
      modelName: "m",
      manifestBytes: manifestBytes.length,
      totalBytes,
      timing: { promptTokens: 8, outputTokens: 4 },
    },
    issuedAtMs: 0,
  };
  await (await new Kvm(connection).create("assignments")).put(name, JSON.stringify(assignment));
  coordinator.say({ vouch: { generation: assignment.generation, artifactDigest } });
}
const hello = () => coordinator.heard(({ hello }) => hello != null);
const state = async (name: string) =>
  AgentState.parse(JSON.parse(await readFile(join(root, name, "state.json"), "utf8")));

test("killed in mid-download three times, it resumes each time; a variant that can't load fails once and for all", async () => {
  const artifact = makeArtifact({ weightBytes: 3_000_000, chunkBytes: 100_000 });
  const objects = [...artifact.objects];
  // The manifest first; then the agent gets as far as the bucket reaches.
  objects.unshift(...objects.splice(-1));
  await putObjects(connection, objects.slice(0, 5));
  let agent = start("edge-1");
  await hello();
  await assign("edge-1", 1, artifact);
  let held = 0;
  for (const reach of [10, 20, 30]) {
    coordinator.messages.length = 0;
    await putObjects(connection, objects.slice(0, reach));
    await coordinator.heard(
      ({ status }) => status?.state === "STATE_DOWNLOADING" && status.reason.includes("holds no object"),
    );
    await kill(agent);
    const now = (await readdir(join(root, "edge-1", "chunks"))).filter((file) => !file.endsWith(".partial")).length;
    assert.ok(now >= held && now < objects.length, `${now} after ${held}`);
    held = now;
    assert.deepEqual(await readdir(join(root, "edge-1", "variants")), []);
    agent = start("edge-1");
  }
  coordinator.messages.length = 0;
  await putObjects(connection, objects);
  const report = await coordinator.heard(({ status }) => status?.state === "STATE_FAILED");
  assert.match(report.status!.reason, /loading or proving failed/);
  const { failures, settled, active, trial } = await state("edge-1");
  assert.equal(failures.length, 1);
  assert.deepEqual([settled, active, trial], [{ epoch: 0, n: 1 }, null, null]);
  await kill(agent);
  coordinator.messages.length = 0;
  agent = start("edge-1");
  await hello();
  await assign("edge-1", 1, artifact);
  assert.equal(await kill(agent, "SIGTERM"), 0);
  assert.equal(
    coordinator.messages.some(({ status }) => status?.state === "STATE_PROVING"),
    false,
  );
});

test("a state file torn by a power loss heals, and the device keeps its identity without a token", async () => {
  coordinator.messages.length = 0;
  const first = start("edge-2");
  await hello();
  assert.equal(await kill(first, "SIGTERM"), 0);
  await writeFile(join(root, "edge-2", "state.json"), '{"schemaVersion":1,"assi');
  coordinator.messages.length = 0;
  const enrolled = coordinator.enrollments.length;
  const again = start("edge-2");
  await hello();
  assert.equal(coordinator.enrollments.length, enrolled);
  assert.equal(await kill(again, "SIGTERM"), 0);
});

test("telemetry is published under the device's own subject, also after the broker was away", async () => {
  const agent = start("edge-3");
  const next = async (): Promise<TelemetrySnapshot> => {
    const subscription = connection.subscribe("espalier.telemetry.edge-3", { max: 1 });
    for await (const message of subscription) return TelemetrySnapshot.parse(message.json());
    throw new Error("no telemetry");
  };
  assert.equal((await next()).deviceId, "edge-3");
  await server.kill();
  await server.restart();
  assert.equal((await next()).variant, null);
  const { apiUrl } = AgentEndpoints.parse(JSON.parse(await readFile(join(root, "edge-3", "agent.json"), "utf8")));
  assert.match(
    await (await fetch(`${apiUrl}/metrics`)).text(),
    /^espalier_agent_requests_total\{outcome="failed"\} 0$/m,
  );
  assert.equal(await kill(agent, "SIGTERM"), 0);
});

test("a download beyond the disk budget fails with the numbers", async () => {
  const artifact = makeArtifact({ weightBytes: 300_000 });
  await putObjects(connection, artifact.objects);
  coordinator.messages.length = 0;
  const agent = start("edge-4", "--disk", "200kB");
  await hello();
  await assign("edge-4", 1, artifact);
  const { status } = await coordinator.heard(({ status }) => status?.state === "STATE_FAILED");
  assert.match(status!.reason, /disk budget 200000 bytes/);
  await kill(agent, "SIGTERM");
});

test("without an identity and a token it says what is needed", async () => {
  const agent = spawn(process.execPath, [main, "--data", join(root, "nobody")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  agent.stderr.setEncoding("utf8");
  const [text] = await once(agent.stderr, "data");
  assert.match(String(text), /--enroll, --token and --authority/);
  if (agent.exitCode === null) await once(agent, "exit");
  assert.equal(agent.exitCode, 78);
});
