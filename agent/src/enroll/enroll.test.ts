import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hasCode } from "@espalier/shared/errors";
import { fromSeed } from "@nats-io/nkeys";
import { makeAuthority } from "../testing/authority.ts";
import { startCoordinator, type TestCoordinator, testToken } from "../testing/coordinator.ts";
import { enroll } from "./enroll.ts";
import { loadIdentity, saveIdentity } from "./identity.ts";

let coordinator: TestCoordinator;
let folder: string;
before(async () => {
  coordinator = await startCoordinator();
  folder = await mkdtemp(join(tmpdir(), "espalier-identity-"));
});
after(async () => {
  coordinator.stop();
  await rm(folder, { recursive: true, force: true });
});

const options = () => ({
  address: coordinator.enrollmentAddress,
  token: testToken,
  authorityPem: coordinator.authority.certificatePem,
  name: "edge-1",
  labels: { tier: "small" },
});

test("an enrolled device holds a certificate of its own key and the nkey that it named", async () => {
  const identity = await enroll(options());
  assert.equal(identity.deviceId, "edge-1");
  assert.equal(identity.sessionAddress, coordinator.sessionAddress);
  const certificate = new X509Certificate(identity.certificatePem);
  assert.ok(certificate.verify(new X509Certificate(identity.authorityPem).publicKey));
  assert.ok(certificate.checkPrivateKey(createPrivateKey(identity.keyPem)));
  const request = coordinator.enrollments.at(-1)!;
  assert.equal(fromSeed(new TextEncoder().encode(identity.natsSeed)).getPublicKey(), request.natsPublicKey);
  assert.deepEqual(request.labels, { tier: "small" });
  assert.doesNotMatch(JSON.stringify(request), /PRIVATE KEY|SU[A-Z0-9]{50}/);
});

test("a stored identity is readable by its owner only, and reads back the same", async () => {
  const identity = await enroll(options());
  await saveIdentity(folder, identity);
  assert.equal((await stat(join(folder, "identity.json"))).mode & 0o777, 0o600);
  assert.deepEqual(await loadIdentity(folder), identity);
});

test("a broken identity is refused with what to do about it", async () => {
  for (const name of ["identity.json", "identity.json.copy"]) await writeFile(join(folder, name), '{"deviceId":');
  await assert.rejects(loadIdentity(folder), (error) => {
    return hasCode(error, "identity.unreadable") && /enroll the device again/.test(error.message);
  });
});

test("a wrong token is denied", async () => {
  await assert.rejects(enroll({ ...options(), token: "guessed" }), (error) => hasCode(error, "enroll.denied"));
});

test("a coordinator of another authority gets no token", async () => {
  const { certificatePem } = await makeAuthority();
  const before = coordinator.enrollments.length;
  await assert.rejects(enroll({ ...options(), authorityPem: certificatePem }), (error) =>
    hasCode(error, "enroll.unreachable"),
  );
  assert.equal(coordinator.enrollments.length, before);
});
