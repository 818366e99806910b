import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CoordinatorEndpoints, OperatorContext } from "@espalier/shared/contracts/context";
import type { CreateTokenResponse__Output } from "@espalier/shared/generated/espalier/v1/CreateTokenResponse";
import { loadServices, tlsChannelOptions } from "@espalier/shared/grpc";
import { natsServerBinary } from "@espalier/shared/testing/binaries";
import { credentials } from "@grpc/grpc-js";

const main = fileURLToPath(new URL("main.ts", import.meta.url));

/** A data folder for processes that are all ended before it is removed. */
async function makeSite(t: TestContext): Promise<{ folder: string; children: ChildProcess[] }> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-coordinator-"));
  const children: ChildProcess[] = [];
  t.after(async () => {
    for (const child of children) await end(child, "SIGTERM");
    await rm(folder, { recursive: true, force: true });
  });
  return { folder, children };
}

/** A real coordinator process with its broker, ready when its endpoints are published. */
async function startProcess({ folder, children }: { folder: string; children: ChildProcess[] }) {
  const child = spawn(process.execPath, [main, "--data", folder, "--nats-server", natsServerBinary()], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.push(child);
  let log = "";
  const ready = new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      if (log.includes("the coordinator is ready")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`exited with ${code}: ${log}`)));
  });
  await ready;
  const endpoints = CoordinatorEndpoints.parse(JSON.parse(await readFile(join(folder, "endpoints.json"), "utf8")));
  return { child, endpoints };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
  return child.exitCode;
}

/** Creates a token as `espalier` would, from context.json alone. */
async function createToken(folder: string): Promise<CreateTokenResponse__Output> {
  const context = OperatorContext.parse(JSON.parse(await readFile(join(folder, "context.json"), "utf8")));
  assert.ok("keyPath" in context);
  const channel = credentials.createSsl(
    await readFile(context.authorityPath),
    await readFile(context.keyPath),
    await readFile(context.certificatePath),
  );
  const { Operator } = loadServices();
  const client = new Operator(context.operatorAddress, channel, tlsChannelOptions(context.operatorAddress));
  try {
    return await new Promise((resolve, reject) => {
      client.createToken({}, (error, response) => (response === undefined ? reject(error) : resolve(response)));
    });
  } finally {
    client.close();
  }
}

const brokerPid = async (folder: string) => Number(await readFile(join(folder, "nats/server.pid"), "utf8"));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("a coordinator serves, refuses a second one on its folder, and ends cleanly with its broker", async (t) => {
  const site = await makeSite(t);
  const { folder } = site;
  const { child, endpoints } = await startProcess(site);
  assert.equal(endpoints.pid, child.pid);
  assert.match((await createToken(folder)).token, /^[\w-]{43}$/);
  assert.equal((await fetch(`${endpoints.httpUrl}/readyz`)).status, 200);
  for (const secret of [
    "builder.creds",
    "ca/authority.key",
    "ca/admin.key",
    "nats-identity/seeds.json",
    "nats/server.conf",
  ]) {
    assert.equal((await stat(join(folder, secret))).mode & 0o077, 0, `${secret} is the owner's only`);
  }
  await assert.rejects(startProcess(site), /data-folder\.in-use/);
  const broker = await brokerPid(folder);
  assert.equal(await end(child, "SIGTERM"), 0);
  assert.ok(!isAlive(broker));
});

test("killed and started again, it ends the old broker and is found at the same addresses by the same identity", async (t) => {
  const site = await makeSite(t);
  const { folder } = site;
  const first = await startProcess(site);
  const { authorityPem } = await createToken(folder);
  const leftover = await brokerPid(folder);
  await end(first.child, "SIGKILL");
  assert.ok(isAlive(leftover), "the kill left the broker behind");
  const second = await startProcess(site);
  assert.ok(!isAlive(leftover));
  assert.deepEqual({ ...second.endpoints, pid: 0 }, { ...first.endpoints, pid: 0 });
  assert.equal((await createToken(folder)).authorityPem, authorityPem);
});
