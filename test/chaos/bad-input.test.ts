/** What strangers may throw at the ports of a coordinator. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { checkoutFolder, findBinaries } from "@espalier/cli/up/binaries";
import { CoordinatorEndpoints } from "@espalier/shared/contracts/context";
import { loadServices } from "@espalier/shared/grpc";
import { credentials, type ServiceError, status } from "@grpc/grpc-js";
import { childProgram } from "./kit/child.ts";
import { injections, record } from "./kit/injections.ts";

/** Sends bytes to a port and takes what comes, for as long as the other side lets it. */
async function throwAt(address: string, bytes: Uint8Array): Promise<void> {
  const [host, port] = [
    address.slice(0, address.lastIndexOf(":")),
    Number(address.slice(address.lastIndexOf(":") + 1)),
  ];
  const socket = connect(port, host);
  socket.on("error", () => undefined).resume();
  socket.end(bytes);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await Promise.race([closed, sleep(2_000)]);
  socket.destroy();
}

async function residentBytes(pid: number): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

test("garbage, oversize messages and header bombs at every port are refused, and the coordinator stays up and small", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "espalier-input-"));
  const { node, natsServer } = findBinaries();
  const main = join(checkoutFolder, "coordinator/src/main.ts");
  const args = [main, "--data", root, "--nats-server", natsServer];
  const coordinator = childProgram({ file: node, args, ready: /"the coordinator is ready"/ });
  t.after(async () => {
    await coordinator.end("SIGTERM");
    await rm(root, { recursive: true, force: true });
  });
  await coordinator.start();
  const endpoints = CoordinatorEndpoints.parse(JSON.parse(await readFile(join(root, "endpoints.json"), "utf8")));
  const { enrollmentAddress, sessionAddress, httpUrl, natsUrls } = endpoints;
  const addresses = [enrollmentAddress, sessionAddress, new URL(httpUrl).host, new URL(natsUrls[0] ?? "").host];
  const before = await residentBytes(coordinator.pid ?? 0);

  const header = (text: string) => Buffer.from(text);
  const thrown: Record<string, Uint8Array> = {
    "random bytes": randomBytes(1_000_000),
    "an endless line": Buffer.alloc(4_000_000, "a"),
    "a header bomb": header(`GET / HTTP/1.1\r\n${"x-bomb: y\r\n".repeat(100_000)}\r\n`),
    "a NATS message of a gigabyte": header(`CONNECT {}\r\nPUB a 1073741824\r\n${"b".repeat(1_000_000)}`),
    "HTTP/2 without TLS": header("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    nothing: new Uint8Array(),
  };
  const rounds = Math.ceil(injections(1) / 10);
  for (let round = 0; round < rounds; round++)
    for (const bytes of Object.values(thrown)) await Promise.all(addresses.map((address) => throwAt(address, bytes)));

  const channel = credentials.createSsl(await readFile(endpoints.authorityPath));
  const client = new (loadServices().Enrollment)(enrollmentAddress, channel);
  t.after(() => client.close());
  const refusal = (request: { token: string; csrPem: string }): Promise<status | undefined> =>
    new Promise((resolve) => client.Enroll(request, (error: ServiceError | null) => resolve(error?.code)));
  assert.equal(await refusal({ token: "a", csrPem: "b".repeat(1_000_000) }), status.RESOURCE_EXHAUSTED);
  assert.equal(await refusal({ token: "a", csrPem: "b" }), status.INVALID_ARGUMENT);

  assert.ok(coordinator.isRunning);
  assert.equal((await fetch(`${httpUrl}/readyz`)).status, 200);
  const grownBytes = (await residentBytes(coordinator.pid ?? 0)) - before;
  assert.ok(grownBytes < 150e6, `it grew by ${grownBytes} bytes`);
  record({
    faults: [23],
    fault: `${Object.keys(thrown).join(", ")} at the ports of enrollment, sessions, HTTP and NATS; oversize enrollments`,
    injections: rounds * Object.keys(thrown).length * addresses.length + 2,
    outcome: "refused or cut off; the coordinator answered and had grown by less than 150 MB",
  });
});
