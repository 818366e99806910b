/** What strangers, devices and applications may throw at the ports of a coordinator and of an agent. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { DeviceMessage } from "@espalier/shared/generated/espalier/v1/DeviceMessage";
import { loadServices, toDocument } from "@espalier/shared/grpc";
import { inboxPrefix, subjects } from "@espalier/shared/nats-names";
import { credentials, type ServiceError, status } from "@grpc/grpc-js";
import { connect as connectBroker, jwtAuthenticator } from "@nats-io/transport-node";
import { enroll } from "../../agent/src/enroll/enroll.ts";
import { openSession, testHello } from "../../coordinator/src/grpc/testing/test-endpoints.ts";
import { eventually } from "../eventually.ts";
import { startCoordinator } from "./kit/coordinator.ts";
import { injections, record } from "./kit/injections.ts";
import { startSite } from "./kit/site.ts";
import { tinyVariant } from "./kit/variant.ts";

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

async function residentBytes(pid = 0): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

/** What any port may meet. */
const thrown: Record<string, Uint8Array> = {
  "random bytes": randomBytes(1_000_000),
  "an endless line": Buffer.alloc(4_000_000, "a"),
  "a header bomb": Buffer.from(`GET / HTTP/1.1\r\n${"x-bomb: y\r\n".repeat(100_000)}\r\n`),
  "a NATS message of a gigabyte": Buffer.from(`CONNECT {}\r\nPUB a 1073741824\r\n${"b".repeat(1_000_000)}`),
  "HTTP/2 without TLS": Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  nothing: new Uint8Array(),
};
const rounds = Math.ceil(injections(1) / 10);

test("garbage, oversize messages and header bombs at every port are refused, and the coordinator stays up and small", async (t) => {
  const { coordinator, endpoints, authorityPem } = await startCoordinator(t);
  const { enrollmentAddress, sessionAddress, httpUrl, natsUrls } = endpoints;
  const addresses = [enrollmentAddress, sessionAddress, new URL(httpUrl).host, new URL(natsUrls[0] ?? "").host];
  const before = await residentBytes(coordinator.pid);
  for (let round = 0; round < rounds; round++)
    for (const bytes of Object.values(thrown)) await Promise.all(addresses.map((address) => throwAt(address, bytes)));

  const client = new (loadServices().Enrollment)(enrollmentAddress, credentials.createSsl(Buffer.from(authorityPem)));
  t.after(() => client.close());
  const refusal = (request: { token: string; csrPem: string }): Promise<status | undefined> =>
    new Promise((resolve) => client.Enroll(request, (error: ServiceError | null) => resolve(error?.code)));
  assert.equal(await refusal({ token: "a", csrPem: "b".repeat(1_000_000) }), status.RESOURCE_EXHAUSTED);
  assert.equal(await refusal({ token: "a", csrPem: "b" }), status.INVALID_ARGUMENT);

  assert.ok(coordinator.isRunning);
  assert.equal((await fetch(`${httpUrl}/readyz`)).status, 200);
  const grownBytes = (await residentBytes(coordinator.pid)) - before;
  assert.ok(grownBytes < 150e6, `it grew by ${grownBytes} bytes`);
  record({
    faults: [23],
    fault: `${Object.keys(thrown).join(", ")} at the ports of enrollment, sessions, HTTP and NATS; oversize enrollments`,
    injections: rounds * Object.keys(thrown).length * addresses.length + 2,
    outcome: "refused or cut off; the coordinator answered and had grown by less than 150 MB",
  });
});

test("a device that sends broken, oversize or endless messages is told so or cut off; the coordinator stays up and small", async (t) => {
  const site = await startCoordinator(t);
  const { coordinator, endpoints, authorityPem } = site;
  const { enrollmentAddress: address, sessionAddress, httpUrl } = endpoints;
  const identity = await enroll({ address, token: await site.createToken(), authorityPem, name: "odd", labels: {} });
  const addresses = { authority: { certificatePem: authorityPem }, members: { address: sessionAddress } };
  const inventory = (json: string): DeviceMessage => ({
    hello: { ...testHello.hello, inventory: { contract: "Inventory", json } },
  });
  const broken: Record<string, [DeviceMessage, status]> = {
    "no Hello": [{ heartbeat: { atMs: 1 } }, status.INVALID_ARGUMENT],
    "an empty Hello": [{ hello: {} }, status.INVALID_ARGUMENT],
    "a Hello that is no JSON": [inventory("{"), status.INVALID_ARGUMENT],
    "a Hello of the wrong contract": [
      { hello: { ...testHello.hello, inventory: toDocument("Budget", {}) } },
      status.INVALID_ARGUMENT,
    ],
    "a Hello nested a hundred thousand deep": [inventory("[".repeat(100_000)), status.INVALID_ARGUMENT],
    "a Hello of 16 MB": [inventory(`"${"a".repeat(16_000_000)}"`), status.RESOURCE_EXHAUSTED],
  };
  const before = await residentBytes(coordinator.pid);
  for (let round = 0; round < rounds; round++) {
    for (const [what, [message, expected]] of Object.entries(broken)) {
      const session = openSession(t, addresses, identity);
      session.stream.write(message);
      assert.equal((await session.ended)?.code, expected, what);
    }
    const session = openSession(t, addresses, identity);
    session.stream.write(testHello);
    await session.next("welcome");
    for (let index = 0; index < 20_000; index++) session.stream.write({ heartbeat: { atMs: index } });
    session.stream.write({
      measurement: { commandId: "nobody's", state: "STATE_SUCCEEDED", message: "x".repeat(1e6) },
    });
    session.stream.write({ status: { reportId: "r".repeat(10_000), reason: "x".repeat(1e6) } });
    assert.equal((await session.next("reportAck")).reportId.length, 10_000, "read to the end, and dropped");
  }

  const connection = await connectBroker({
    servers: [...identity.natsUrls],
    inboxPrefix: inboxPrefix(identity.deviceId),
    authenticator: jwtAuthenticator(identity.natsUserJwt, new TextEncoder().encode(identity.natsSeed)),
  });
  t.after(() => connection.close());
  const snapshots = ["", "{", "[".repeat(100_000), `"${"a".repeat(700_000)}"`, '{"schemaVersion":1}', "\u0000\xff"];
  for (const snapshot of snapshots) connection.publish(subjects.telemetry(identity.deviceId), snapshot);
  await connection.flush();
  await eventually(async () => {
    const metrics = await (await fetch(`${httpUrl}/metrics`)).text();
    assert.match(metrics, /espalier_telemetry_snapshots_total\{outcome="invalid"\} [1-9]/);
  });

  assert.ok(coordinator.isRunning);
  assert.equal((await fetch(`${httpUrl}/readyz`)).status, 200);
  const grownBytes = (await residentBytes(coordinator.pid)) - before;
  assert.ok(grownBytes < 200e6, `it grew by ${grownBytes} bytes`);
  const kinds = [...Object.keys(broken), "20,000 heartbeats at once", "reports and results of a megabyte"];
  record({
    faults: [23],
    fault: `${kinds.join(", ")} in a device's session; ${snapshots.length} broken snapshots as its telemetry`,
    injections: rounds * kinds.length + snapshots.length,
    outcome:
      "a typed error or an acknowledged refusal each time; the coordinator answered and had grown by less than 200 MB",
  });
});

test("garbage, header bombs, broken JSON and huge prompts get a 4xx from an agent, which serves on and stays small", async (t) => {
  const site = await startSite(t);
  await site.agent.start();
  const variant = await tinyVariant("dense-q4b32");
  assert.equal((await site.outcome(await site.assign(variant))).state, "STATE_ACTIVE");
  const served = await site.serving();
  const before = await residentBytes(site.agent.pid);
  const { host } = new URL(site.agent.apiUrl);
  const chat = (content: unknown, more: object = {}) =>
    JSON.stringify({ messages: [{ role: "user", content }], max_tokens: 4, ...more });
  const bodies: Record<string, string> = {
    "broken JSON": '{"messages": [',
    "no JSON": "\u0000\u0001",
    "a list": "[]",
    "JSON nested a hundred thousand deep": "[".repeat(100_000),
    "a prompt of 20 MB": chat("word ".repeat(4_000_000)),
    "a prompt beyond the context": chat("word ".repeat(20_000)),
    "a negative number of tokens": chat("hi", { max_tokens: -1 }),
    "a number for a text": chat(7),
    "a hundred thousand stop words": chat("hi", { stop: Array.from({ length: 100_000 }, () => "x") }),
  };
  for (let round = 0; round < rounds; round++) {
    for (const bytes of Object.values(thrown)) await throwAt(host, bytes);
    for (const [what, body] of Object.entries(bodies)) {
      const url = `${site.agent.apiUrl}/v1/chat/completions`;
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      }).catch((error: Error & { cause?: { code?: string } }) => {
        // What is refused by its length is cut off in mid-sentence: the answer may come too late to be read.
        if (body.length < 1e6 || !["EPIPE", "ECONNRESET"].includes(error.cause?.code ?? "")) throw error;
        return null;
      });
      if (response === null) continue;
      const answer = (await response.json()) as { error?: { code?: string; message?: string } };
      assert.ok(response.status >= 400 && response.status < 500, `${what}: ${response.status}`);
      assert.ok(answer.error?.code && answer.error.message, `${what}: a typed error`);
    }
  }
  assert.deepEqual(await site.serving(), served);
  const grownBytes = (await residentBytes(site.agent.pid)) - before;
  assert.ok(grownBytes < 200e6, `it grew by ${grownBytes} bytes`);
  const kinds = [...Object.keys(thrown), ...Object.keys(bodies)];
  record({
    faults: [23],
    fault: `${kinds.join(", ")} at an agent's API`,
    injections: rounds * kinds.length,
    outcome: "cut off or answered by a 4xx with a code; it answered as before and had grown by less than 200 MB",
  });
});
