/** Certificates and broker credentials that end: the agent's renewal against the coordinator's ports and a real broker. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { ReadmitRequest } from "@espalier/shared/generated/espalier/v1/ReadmitRequest";
import type { RenewedIdentity__Output } from "@espalier/shared/generated/espalier/v1/RenewedIdentity";
import { loadServices, tlsChannelOptions } from "@espalier/shared/grpc";
import { credentials, type ServiceError, status } from "@grpc/grpc-js";
import { createUser } from "@nats-io/nkeys";
import { makeRequest } from "../agent/src/enroll/device-keys.ts";
import { enroll } from "../agent/src/enroll/enroll.ts";
import { holdIdentity, type Identity, type IdentityHolder, loadIdentity } from "../agent/src/enroll/identity.ts";
import { keepRenewed } from "../agent/src/enroll/renewal.ts";
import { connectBroker } from "../agent/src/nats/connect.ts";
import { createReadmitDevice } from "../coordinator/src/devices/readmit-device.ts";
import { createRevokeDevice } from "../coordinator/src/devices/revoke-device.ts";
import { openSession, startTestEndpoints, testHello } from "../coordinator/src/grpc/testing/test-endpoints.ts";
import { startTestBroker } from "../coordinator/src/nats/testing/test-broker.ts";
import { listAudit } from "../coordinator/src/store/audit.ts";
import { listEvents } from "../coordinator/src/store/events.ts";

const dayMs = 86_400_000;

/** An enrolled device, a coordinator and a clock that both live by; certificates last seven days. */
async function startSite(t: TestContext) {
  const endpoints = await startTestEndpoints(t);
  const folder = await mkdtemp(join(tmpdir(), "espalier-renewal-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const identity = await enroll({
    address: endpoints.enrollment.address,
    token: await endpoints.makeToken(),
    authorityPem: endpoints.authority.certificatePem,
    name: "kiosk",
    labels: {},
  });
  const holder = holdIdentity(folder, identity);
  await holder.replace(holder.current);
  return { ...endpoints, endpoints, folder, holder };
}

/** Runs the agent's renewal until it replaced the identity or said so often why not. */
async function renewing(holder: IdentityHolder, nowMs: () => number, problems = 1): Promise<string[]> {
  const ending = new AbortController();
  const told: string[] = [];
  await keepRenewed(
    {
      identity: holder,
      clock: { now: nowMs },
      backoff: { firstMs: 1, maxMs: 1, factor: 1 },
      random: () => 0,
      log: {
        info: () => ending.abort(),
        warn({ problem }: { problem?: string }) {
          told.push(problem ?? "");
          if (told.length === problems) ending.abort();
        },
      },
    },
    ending.signal,
  );
  return told;
}

const expiryOf = ({ certificatePem }: Identity): number => Date.parse(new X509Certificate(certificatePem).validTo);
const jwtExpiryOf = ({ natsUserJwt }: Identity): number =>
  1000 * JSON.parse(Buffer.from(natsUserJwt.split(".")[1] ?? "", "base64url").toString()).exp;

test("after two thirds of its life a certificate is renewed with the broker credentials; both certificates count", async (t) => {
  const { holder, clock, endpoints, folder, store } = await startSite(t);
  const first = holder.current;
  assert.ok(Math.abs(jwtExpiryOf(first) - expiryOf(first)) <= 1_000, "broker credentials end with the certificate");
  clock.nowMs += 60_000;
  assert.deepEqual(await renewing(holder, () => Date.now() + 5 * dayMs), []);
  const second = holder.current;
  assert.equal(second.deviceId, first.deviceId);
  assert.ok(expiryOf(second) > expiryOf(first));
  assert.ok(jwtExpiryOf(second) > jwtExpiryOf(first));
  assert.deepEqual(await loadIdentity(folder), second, "durable at once");
  for (const identity of [first, second]) {
    const session = openSession(t, endpoints, identity);
    session.stream.write(testHello);
    assert.equal((await session.next("welcome")).deviceId, first.deviceId);
  }
  const events = await listEvents(store.db, { deviceId: first.deviceId, limit: 10 });
  assert.equal(events.filter(({ kind }) => kind === "device.renewed").length, 1);
});

test("a device that was away past its expiry comes back by an operator's consent, which counts once", async (t) => {
  const { holder, clock, store } = await startSite(t);
  const first = holder.current;
  clock.nowMs += 20 * dayMs;
  const now = () => clock.nowMs;
  const refused = await renewing(holder, now, 3);
  assert.match(refused[0] ?? "", /dev-.* waits for an operator's consent/);
  assert.equal(holder.current, first);
  const asked = await listEvents(store.db, { deviceId: first.deviceId, limit: 10 });
  assert.equal(asked.filter(({ kind }) => kind === "device.asks-readmission").length, 1, "told once a day");

  const { untilMs } = await createReadmitDevice({ store, now })("kiosk", "alice");
  assert.equal(untilMs, clock.nowMs + 7 * dayMs);
  assert.deepEqual(await renewing(holder, now), []);
  assert.ok(expiryOf(holder.current) > clock.nowMs);
  assert.equal(holder.current.keyPem, first.keyPem);
  assert.equal((await readmit(holder.current, first)).code, status.PERMISSION_DENIED, "the consent is used up");

  await createReadmitDevice({ store, now })("kiosk", "alice");
  clock.nowMs += 8 * dayMs;
  assert.equal((await readmit(holder.current, first)).code, status.PERMISSION_DENIED, "the consent ended");
});

/** Asks as a device would; the error, or null for a new identity. */
async function readmit(key: Pick<Identity, "keyPem">, { enrollmentAddress, authorityPem, certificatePem }: Identity) {
  const request: ReadmitRequest = { certificatePem, csrPem: await makeRequest(key.keyPem) };
  const channel = credentials.createSsl(Buffer.from(authorityPem));
  const client = new (loadServices().Enrollment)(enrollmentAddress, channel, tlsChannelOptions(enrollmentAddress));
  try {
    return await new Promise<{ code: status | null; value?: RenewedIdentity__Output }>((resolve) => {
      client.Readmit(request, (error: ServiceError | null, value?: RenewedIdentity__Output) =>
        resolve(value === undefined ? { code: error?.code ?? null } : { code: null, value }),
      );
    });
  } finally {
    client.close();
  }
}

test("a certificate without its key, another authority's and a revoked device's readmit nobody, consent or not", async (t) => {
  const site = await startSite(t);
  const stranger = await startSite(t);
  const { store, clock, holder } = site;
  const own = holder.current;
  const now = () => clock.nowMs;
  await createReadmitDevice({ store, now })("kiosk", "alice");
  assert.equal((await readmit(stranger.holder.current, own)).code, status.UNAUTHENTICATED, "another key");
  const foreign = { ...own, certificatePem: stranger.holder.current.certificatePem };
  assert.equal((await readmit(stranger.holder.current, foreign)).code, status.UNAUTHENTICATED, "another authority");
  assert.equal((await readmit(own, { ...own, certificatePem: "no certificate" })).code, status.INVALID_ARGUMENT);
  const denied = (await listAudit(store.db, { limit: 10 })).filter(({ action }) => action === "readmit");
  assert.deepEqual(new Set(denied.map(({ outcome }) => outcome)), new Set(["denied"]));
  assert.equal(denied.length, 3);

  const revoke = createRevokeDevice({ store, disconnect() {}, applyRevocations: null, onRevoked() {}, now });
  await revoke("kiosk", "alice");
  assert.equal((await readmit(own, own)).code, status.PERMISSION_DENIED, "revoked");
  const told = await renewing(holder, () => Date.now() + 5 * dayMs);
  assert.match(told[0] ?? "", /revoked or never enrolled/);
});

test("the broker ends a connection when its credentials end, and renewed ones bring it back", async (t) => {
  const broker = await startTestBroker(t);
  const pair = createUser();
  const seed = new TextDecoder().decode(pair.getSeed());
  const jwtUntil = (expiresAtMs: number) => broker.identity.deviceJwt("dev-a", pair.getPublicKey(), expiresAtMs);
  let jwt = jwtUntil(Date.now() + 2_000);
  const connection = await connectBroker({
    deviceId: "dev-a",
    natsUrls: [broker.server.url],
    user: { jwt: () => jwt, seed },
  });
  t.after(() => connection.close());
  jwt = jwtUntil(Date.now() + dayMs);
  for await (const { type } of connection.status()) if (type === "reconnect") break;
  await connection.flush();
});
