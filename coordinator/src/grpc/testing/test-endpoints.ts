import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { CoordinatorMessage__Output } from "@espalier/shared/generated/espalier/v1/CoordinatorMessage";
import type { DeviceMessage } from "@espalier/shared/generated/espalier/v1/DeviceMessage";
import type { EnrollRequest } from "@espalier/shared/generated/espalier/v1/EnrollRequest";
import type { EnrollResponse__Output } from "@espalier/shared/generated/espalier/v1/EnrollResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { loadServices, tlsChannelOptions, toDocument } from "@espalier/shared/grpc";
import { createLogger } from "@espalier/shared/logging";
import { type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";
import { createUser } from "@nats-io/nkeys";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { type KeyedCertificate, openAuthority } from "../../identity/authority.ts";
import { openEmbeddedIdentity } from "../../identity/broker-identity.ts";
import { createEnroll } from "../../identity/enroll.ts";
import { hashOfToken, newEnrollmentToken } from "../../identity/enrollment-token.ts";
import { createFailureLimiter } from "../../identity/failure-limiter.ts";
import { createRenewal } from "../../identity/renew.ts";
import { builtInOperator, createOperatorAccess } from "../../operator/access.ts";
import { openSqliteStore } from "../../store/open.ts";
import { insertToken } from "../../store/tokens.ts";
import { enrollmentHandlers } from "../enrollment.ts";
import { type OperatorMethods, operatorHandlers } from "../operator.ts";
import { serveEnrollment, serveMembers } from "../servers.ts";
import { sessionHandlers } from "../session/connect.ts";
import { createSessionHub } from "../session/hub.ts";
import { createMessageQueue, type MessageQueue } from "../session/message-queue.ts";
import { startSeenTimes } from "../session/seen-times.ts";

/** Real enrollment and mutual-TLS ports over a real store; the operator methods are the test's. */
export async function startTestEndpoints(t: TestContext, operator: Partial<OperatorMethods> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "espalier-grpc-"));
  const log = createLogger("test", "silent");
  const clock = { nowMs: Date.now() };
  const now = () => clock.nowMs;
  const store = await openSqliteStore(join(folder, "store.db"));
  const authority = await openAuthority({ folder: join(folder, "ca"), deviceDays: 7, now });
  const broker = await openEmbeddedIdentity(join(folder, "broker"), now);
  const limiter = createFailureLimiter({ maxFailures: 5, windowMs: 60_000, now });
  const enroll = createEnroll({ store, authority, broker, limiter, now });
  const renewal = createRenewal({ store, authority, broker, limiter, now });
  const seen = startSeenTimes({ store, intervalMs: 60_000, log });
  const hub = createSessionHub({ store, seen, heartbeatIntervalMs: 500, offlineGraceMs: 50, now, log });
  const listenOn = { host: "127.0.0.1", port: 0, serverCertificate: await authority.issueServer(["127.0.0.1"]) };
  const members = await serveMembers(
    {
      session: sessionHandlers({ hub, store, renewal, log }),
      operator: operatorHandlers(operator as OperatorMethods, createOperatorAccess({ store, now }), log),
    },
    { ...listenOn, authorityPem: authority.certificatePem },
  );
  const enrollment = await serveEnrollment(
    enrollmentHandlers({
      enroll,
      renewal,
      endpoints: () => ({ natsUrls: ["nats://127.0.0.1:1"], sessionAddress: members.address }),
      authorityPem: authority.certificatePem,
      log,
    }),
    listenOn,
  );
  t.after(async () => {
    await hub.close();
    members.stop();
    enrollment.stop();
    await seen.stop();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function makeToken(labels: Record<string, string> = {}, lifetimeMs = 60_000): Promise<string> {
    const token = newEnrollmentToken();
    const expiresAtMs = now() + lifetimeMs;
    await insertToken(store.db, { hash: hashOfToken(token), labels, expiresAtMs, createdAtMs: now() });
    return token;
  }

  /** An operator's client with a certificate of the authority. */
  function clientWith({ certificatePem, keyPem }: KeyedCertificate): OperatorClient {
    const channel = credentials.createSsl(
      Buffer.from(authority.certificatePem),
      Buffer.from(keyPem),
      Buffer.from(certificatePem),
    );
    const client = new (loadServices().Operator)(members.address, channel, tlsChannelOptions(members.address));
    t.after(() => client.close());
    return client;
  }

  const operatorClient = async () => clientWith(await authority.issueOperator(builtInOperator, 1));

  return { store, authority, clock, hub, members, enrollment, makeToken, clientWith, operatorClient };
}
export type TestEndpoints = Awaited<ReturnType<typeof startTestEndpoints>>;

export interface TestDevice {
  readonly deviceId: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

export async function makeKeyAndRequest(subject = "CN=whatever"): Promise<{ keyPem: string; csrPem: string }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const request = await Pkcs10CertificateRequestGenerator.create({ name: subject, keys, signingAlgorithm: algorithm });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return {
    csrPem: request.toString("pem"),
    keyPem: `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`,
  };
}

/** Calls Enroll as a machine would. */
export async function callEnroll(
  endpoints: { authority: { certificatePem: string }; enrollment: { address: string } },
  request: EnrollRequest,
): Promise<EnrollResponse__Output> {
  const { Enrollment } = loadServices();
  const channel = credentials.createSsl(Buffer.from(endpoints.authority.certificatePem));
  const client = new Enrollment(endpoints.enrollment.address, channel, tlsChannelOptions(endpoints.enrollment.address));
  try {
    return await new Promise((resolve, reject) => {
      client.enroll(request, (error, response) => (response === undefined ? reject(error) : resolve(response)));
    });
  } finally {
    client.close();
  }
}

export async function enrollDevice(endpoints: TestEndpoints, name = "device"): Promise<TestDevice> {
  const { keyPem, csrPem } = await makeKeyAndRequest();
  const response = await callEnroll(endpoints, {
    token: await endpoints.makeToken(),
    csrPem,
    requestedName: name,
    natsPublicKey: createUser().getPublicKey(),
  });
  return { deviceId: response.deviceId, certificatePem: response.certificatePem, keyPem };
}

/** A device's side of a session, message by message. */
export interface TestSession {
  readonly stream: ClientDuplexStream<DeviceMessage, CoordinatorMessage__Output>;
  readonly received: MessageQueue<CoordinatorMessage__Output>;
  readonly ended: Promise<ServiceError | null>;
  /** The next message with this body; others before it are dropped. */
  next<Body extends NonNullable<CoordinatorMessage__Output["body"]>>(
    body: Body,
  ): Promise<NonNullable<CoordinatorMessage__Output[Body]>>;
}

export function openSession(
  t: TestContext,
  endpoints: { authority: { certificatePem: string }; members: { address: string } },
  device: Pick<TestDevice, "certificatePem" | "keyPem">,
): TestSession {
  const { DeviceSession } = loadServices();
  const channel = credentials.createSsl(
    Buffer.from(endpoints.authority.certificatePem),
    Buffer.from(device.keyPem),
    Buffer.from(device.certificatePem),
  );
  const client = new DeviceSession(endpoints.members.address, channel, tlsChannelOptions(endpoints.members.address));
  const stream = client.connect();
  const received = createMessageQueue<CoordinatorMessage__Output>();
  const messages = received[Symbol.asyncIterator]();
  stream.on("data", (message: CoordinatorMessage__Output) => received.push(message));
  const ended = new Promise<ServiceError | null>((resolve) => {
    stream.on("error", (error: ServiceError) => resolve(error));
    stream.on("end", () => resolve(null));
  });
  void ended.then(() => received.end());
  t.after(() => {
    stream.cancel();
    client.close();
  });
  return {
    stream,
    received,
    ended,
    async next(body) {
      for (;;) {
        const { value, done } = await messages.next();
        if (done || value === undefined) throw new Error(`the session ended before ${body}`);
        const found = (value as CoordinatorMessage__Output)[body];
        if (found) return found;
      }
    },
  };
}

export const testHello: DeviceMessage = {
  hello: {
    inventory: toDocument("Inventory", {
      hostname: "h",
      hostId: "host-1",
      architecture: "x64",
      os: "linux",
      cpuModel: "cpu",
      logicalCores: 2,
      instructionSets: ["avx2"],
      memoryTotalBytes: 1e9,
      memoryAvailableBytes: 5e8,
      diskFreeBytes: 1e9,
      executionProviders: ["cpu"],
      onnxruntimeVersion: "1",
      agentVersion: "0",
      powerSource: "unknown",
      thermalCelsius: null,
      energyCounter: null,
    }),
    budget: toDocument("Budget", { threads: 1, memoryBytes: null, diskBytes: null, cpuQuota: null }),
    enforcement: toDocument("BudgetEnforcement", { threads: "runtime", memory: "-", disk: "-", cpuQuota: "-" }),
    generation: null,
    activeArtifactDigest: "",
    localApiUrl: "http://127.0.0.1:1",
  },
};
