import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import { createUser } from "@nats-io/nkeys";
import { identityOfAltNames } from "../identity/spiffe.ts";
import { listAudit } from "../store/audit.ts";
import { countDevices, findDevice } from "../store/devices.ts";
import { callEnroll, makeKeyAndRequest, startTestEndpoints } from "./testing/test-endpoints.ts";

const rejectsWith = (code: status) => (error: unknown) => {
  assert.equal((error as ServiceError).code, code, String(error));
  return true;
};

const request = async (token: string) => ({
  token,
  csrPem: (await makeKeyAndRequest()).csrPem,
  requestedName: "camera",
  natsPublicKey: createUser().getPublicKey(),
});

test("a token makes one device, whose certificate is its own identity and whose labels the operator's outrank", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const token = await endpoints.makeToken({ tier: "small" });
  const { csrPem } = await makeKeyAndRequest();
  const response = await callEnroll(endpoints, {
    ...(await request(token)),
    csrPem,
    labels: { tier: "large", site: "north" },
  });
  const certificate = new X509Certificate(response.certificatePem);
  const identity = identityOfAltNames(certificate.subjectAltName ?? "");
  assert.deepEqual(identity, { kind: "device", id: response.deviceId });
  assert.ok(certificate.verify(new X509Certificate(endpoints.authority.certificatePem).publicKey));
  assert.equal(response.sessionAddress, endpoints.members.address);
  const device = await findDevice(endpoints.store.db, response.deviceId);
  assert.deepEqual(device?.labels, { tier: "small", site: "north" });
  assert.equal(device?.name, "camera");
});

test("the subject of a certificate request decides nothing", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const victim = await callEnroll(endpoints, await request(await endpoints.makeToken()));
  const { csrPem } = await makeKeyAndRequest(`CN=${victim.deviceId},O=operator`);
  const response = await callEnroll(endpoints, { ...(await request(await endpoints.makeToken())), csrPem });
  const certificate = new X509Certificate(response.certificatePem);
  assert.notEqual(response.deviceId, victim.deviceId);
  assert.equal(certificate.subject, `CN=${response.deviceId}`);
});

test("a token used, expired or guessed is denied and audited", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const token = await endpoints.makeToken();
  await callEnroll(endpoints, await request(token));
  await assert.rejects(callEnroll(endpoints, await request(token)), rejectsWith(status.UNAUTHENTICATED));
  const late = await endpoints.makeToken({}, 1_000);
  endpoints.clock.nowMs += 1_000;
  await assert.rejects(callEnroll(endpoints, await request(late)), rejectsWith(status.UNAUTHENTICATED));
  await assert.rejects(callEnroll(endpoints, await request("guess")), rejectsWith(status.UNAUTHENTICATED));
  const denied = (await listAudit(endpoints.store.db, { limit: 10 })).filter(({ outcome }) => outcome === "denied");
  assert.equal(denied.length, 3);
  assert.ok(denied.every(({ who, detail }) => who === "127.0.0.1" && !detail.includes(token)));
  assert.equal(await countDevices(endpoints.store.db), 1);
});

test("guessing is limited per address: even a valid token waits then, and works after the window", async (t) => {
  const endpoints = await startTestEndpoints(t);
  for (let guess = 0; guess < 5; guess += 1) {
    await assert.rejects(callEnroll(endpoints, await request(`guess-${guess}`)), rejectsWith(status.UNAUTHENTICATED));
  }
  const token = await endpoints.makeToken({}, 600_000);
  await assert.rejects(callEnroll(endpoints, await request(token)), rejectsWith(status.RESOURCE_EXHAUSTED));
  endpoints.clock.nowMs += 61_000;
  await callEnroll(endpoints, await request(token));
});

test("a malformed request uses no token up", async (t) => {
  const endpoints = await startTestEndpoints(t);
  const token = await endpoints.makeToken();
  const good = await request(token);
  for (const bad of [
    { csrPem: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----" },
    { natsPublicKey: "UNOTAKEY" },
    { requestedName: "a/../b" },
    { labels: { "a b": "c" } },
  ]) {
    await assert.rejects(callEnroll(endpoints, { ...good, ...bad }), rejectsWith(status.INVALID_ARGUMENT));
  }
  assert.equal((await callEnroll(endpoints, good)).deviceId.slice(0, 4), "dev-");
});
