import { X509Certificate } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { type BackoffPolicy, backoffDelayMs } from "@espalier/shared/backoff";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import type { RenewedIdentity__Output } from "@espalier/shared/generated/espalier/v1/RenewedIdentity";
import { loadServices, tlsChannelOptions } from "@espalier/shared/grpc";
import { type Client, credentials, type requestCallback } from "@grpc/grpc-js";
import { makeRequest } from "./device-keys.ts";
import type { Identity, IdentityHolder } from "./identity.ts";

export interface RenewalDeps {
  readonly identity: IdentityHolder;
  readonly clock: { now(): number };
  readonly backoff: BackoffPolicy;
  readonly random: () => number;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** Waits at most this long between looks at the clock, which may jump. */
const lookMs = 60_000;
const deadlineMs = 20_000;
/** Certificates are renewed after this share of their life, which leaves the rest for a coordinator that is away. */
const renewedAfter = 2 / 3;

/**
 * Keeps the device's certificate and broker credentials from expiring, until the signal aborts; never rejects. One that
 * expired all the same (the device was away) is asked for again and again: an operator consents.
 */
export async function keepRenewed(deps: RenewalDeps, signal: AbortSignal): Promise<void> {
  const { identity, clock, log } = deps;
  let attempt = 0;
  while (!signal.aborted) {
    const { renewAtMs, expiresAtMs } = lifeOf(identity.current.certificatePem);
    let waitMs = Math.min(lookMs, renewAtMs - clock.now());
    if (waitMs <= 0) {
      try {
        const ask = clock.now() < expiresAtMs ? renew : readmit;
        const { certificatePem, natsUserJwt } = await ask(identity.current);
        await identity.replace({ ...identity.current, certificatePem, natsUserJwt });
        log.info({ expiresAt: new X509Certificate(certificatePem).validTo }, "certificate renewed");
        attempt = 0;
        continue;
      } catch (error) {
        attempt++;
        waitMs = backoffDelayMs(deps.backoff, attempt, deps.random());
        log.warn({ problem: messageOf(error), waitMs: Math.round(waitMs) }, "the certificate could not be renewed");
      }
    }
    await setTimeout(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

function lifeOf(certificatePem: string): { renewAtMs: number; expiresAtMs: number } {
  const certificate = new X509Certificate(certificatePem);
  const [fromMs, expiresAtMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  return { renewAtMs: fromMs + (expiresAtMs - fromMs) * renewedAfter, expiresAtMs };
}

async function renew({ sessionAddress, authorityPem, keyPem, certificatePem }: Identity) {
  const channel = credentials.createSsl(Buffer.from(authorityPem), Buffer.from(keyPem), Buffer.from(certificatePem));
  const client = new (loadServices().DeviceSession)(sessionAddress, channel, tlsChannelOptions(sessionAddress));
  const csrPem = await makeRequest(keyPem);
  return answer(client, (done) => client.Renew({ csrPem }, { deadline: Date.now() + deadlineMs }, done));
}

async function readmit({ enrollmentAddress, authorityPem, keyPem, certificatePem }: Identity) {
  if (enrollmentAddress === "")
    throw new EspalierError(
      "enroll.address-unknown",
      "The certificate has expired, and this identity was made before it held the enrollment address. Give --enroll.",
    );
  const channel = credentials.createSsl(Buffer.from(authorityPem));
  const client = new (loadServices().Enrollment)(enrollmentAddress, channel, tlsChannelOptions(enrollmentAddress));
  const request = { certificatePem, csrPem: await makeRequest(keyPem) };
  return answer(client, (done) => client.Readmit(request, { deadline: Date.now() + deadlineMs }, done));
}

async function answer(
  client: Client,
  call: (done: requestCallback<RenewedIdentity__Output>) => unknown,
): Promise<RenewedIdentity__Output> {
  try {
    return await new Promise((resolve, reject) => {
      call((error, value) => (error === null && value !== undefined ? resolve(value) : reject(error)));
    });
  } finally {
    client.close();
  }
}
