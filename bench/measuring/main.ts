import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BudgetEnforcement, Measurements } from "@espalier/shared/contracts/profile";
import { fromDocument } from "@espalier/shared/grpc";
import { assignmentBucket } from "@espalier/shared/nats-names";
import { startNatsServer } from "@espalier/shared/testing/nats-server";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { putObjects } from "../../agent/src/testing/artifact.ts";
import { startCoordinator, testToken } from "../../agent/src/testing/coordinator.ts";
import { openBlobStore } from "../../coordinator/src/blobs/blob-store.ts";
import { storeDownloadProbe } from "../../coordinator/src/devices/download-probe.ts";
import { installPackedAgent } from "../../test/packed-agent.ts";
import { readKitObjects } from "../kit-objects.ts";
import { kinds, type Row, writeReport } from "./report.ts";

/**
 * Times all that a coordinator asks of a new device, as the agent measures it that devices get: from its package (a checkout's takes a
 * second more for each graph, since Node takes the types out of its sources), a process of its own under each budget, enrolled, in
 * session over gRPC with TLS, its kit and its probes from a real broker.
 */
const { values } = parseArgs({ options: { kit: { type: "string" }, only: { type: "string" } } });
if (values.kit === undefined) throw new Error("--kit DIR is missing: a folder with kit.json");
const conditions: Readonly<Record<string, readonly string[]>> = {
  "half a core": ["--threads", "1", "--cpu-quota", "0.5"],
  "one core": ["--threads", "1", "--cpu-quota", "1"],
  "no limit": ["--threads", String(availableParallelism())],
};
const wanted = Object.entries(conditions).filter(([name]) => values.only === undefined || name === values.only);
if (wanted.length === 0) throw new Error(`--only ${values.only}: one of ${Object.keys(conditions).join(", ")}`);

const { kitDigest, kit, objects } = await readKitObjects(values.kit);
const root = await mkdtemp(join(tmpdir(), "espalier-measuring-"));
const program = await installPackedAgent(join(root, "package"));
const authorityFile = join(root, "authority.pem");
const server = await startNatsServer();
const connection = await connect({ servers: server.url });
const coordinator = await startCoordinator({ natsUrls: [server.url] });
const rows: Row[] = [];
try {
  await writeFile(authorityFile, coordinator.authority.certificatePem);
  const blobs = await openBlobStore(join(root, "blobs"));
  const digests = await storeDownloadProbe(blobs);
  const probes = await Promise.all(digests.map(async (digest) => [digest, await blobs.get(digest)] as const));
  await putObjects(connection, [...objects, ...probes], 512 * 1024);
  await new Kvm(connection).create(assignmentBucket);
  for (const [index, [name, budget]] of wanted.entries()) {
    const agent = startAgent(`device-${index}`, budget);
    try {
      rows.push(await Promise.race([measure(name, digests), ended(agent)]));
      process.stderr.write(`${name}: ${rows.at(-1)?.seconds} s\n`);
    } finally {
      const exit = agent.exitCode === null ? once(agent, "exit") : null;
      agent.kill();
      await exit;
    }
  }
} finally {
  coordinator.stop();
  await connection.close();
  await server.stop();
  await rm(root, { recursive: true });
}
await writeReport(rows, kit);

function startAgent(name: string, budget: readonly string[]): ChildProcess {
  const enrollment = ["--enroll", coordinator.enrollmentAddress, "--token", testToken, "--authority", authorityFile];
  const args = ["--data", join(root, name), "--name", name, ...enrollment, ...budget, "--log-level", "warn"];
  return spawn(process.execPath, [program, ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

async function ended(agent: ChildProcess): Promise<never> {
  const [code] = await once(agent, "exit");
  throw new Error(`the agent ended with exit code ${code}`);
}

/** The items of `coordinator/src/devices/measure-device.ts`, timed by when the agent says that it begins each. */
async function measure(condition: string, digests: readonly string[]): Promise<Row> {
  coordinator.messages.length = 0;
  const { hello } = await coordinator.heard((message) => message.hello != null);
  const startMs = performance.now();
  const items = [
    { memoryBandwidth: {} },
    { diskWrite: {} },
    { download: { digests: [...digests] } },
    { kit: { kitDigest } },
  ];
  coordinator.say({ measure: { commandId: randomUUID(), items } });
  const heard = (state: string, message?: string) =>
    coordinator.heard(
      ({ measurement: its }) =>
        its?.state === "STATE_FAILED" || (its?.state === state && (message ?? its.message) === its.message),
    );
  const begunMs: number[] = [];
  for (const kind of kinds) {
    await heard("STATE_RUNNING", kind);
    begunMs.push(performance.now());
  }
  const { measurement } = await heard("STATE_SUCCEEDED");
  const endMs = performance.now();
  const [bandwidthMs = endMs, diskMs = endMs, downloadMs = endMs, kitMs = endMs] = begunMs;
  if (!measurement?.measurements || !hello?.enforcement) throw new Error(`${condition}: ${measurement?.message}`);
  const timings = fromDocument(measurement.measurements, Measurements).kit?.timings ?? [];
  const graphs = new Set(timings.map(({ graphId }) => graphId));
  const seconds = (ms: number) => Math.round(ms / 100) / 10;
  return {
    condition,
    cpuQuota: fromDocument(hello.enforcement, BudgetEnforcement).cpuQuota,
    seconds: seconds(endMs - startMs),
    secondsOf: {
      memoryBandwidth: seconds(diskMs - bandwidthMs),
      diskWrite: seconds(downloadMs - diskMs),
      download: seconds(kitMs - downloadMs),
      kit: seconds(endMs - kitMs),
    },
    graphs: graphs.size,
    timedTwice: timings.length - graphs.size,
  };
}
