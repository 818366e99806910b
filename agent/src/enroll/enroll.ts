import { EspalierError } from "@espalier/shared/errors";
import type { EnrollRequest } from "@espalier/shared/generated/espalier/v1/EnrollRequest";
import type { EnrollResponse__Output } from "@espalier/shared/generated/espalier/v1/EnrollResponse";
import { loadServices, tlsChannelOptions } from "@espalier/shared/grpc";
import { credentials, type ServiceError, status } from "@grpc/grpc-js";
import { makeDeviceKeys } from "./device-keys.ts";
import { Identity } from "./identity.ts";

export interface EnrollOptions {
  /** host:port of the enrollment service. */
  readonly address: string;
  readonly token: string;
  /** PEM of the authority that the coordinator's certificate must chain to. */
  readonly authorityPem: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

const deadlineMs = 20_000;

/**
 * Enrolls this device: makes its keys, sends the public halves with the one-time token.
 * @throws {EspalierError} `enroll.denied` (token unknown, used or expired), `enroll.unreachable`, `enroll.failed`
 */
export async function enroll(options: EnrollOptions): Promise<Identity> {
  const keys = await makeDeviceKeys();
  const { Enrollment } = loadServices();
  const channel = credentials.createSsl(Buffer.from(options.authorityPem));
  const client = new Enrollment(options.address, channel, tlsChannelOptions(options.address));
  const request: EnrollRequest = {
    token: options.token,
    csrPem: keys.csrPem,
    requestedName: options.name,
    labels: { ...options.labels },
    natsPublicKey: keys.natsPublicKey,
  };
  try {
    const response = await new Promise<EnrollResponse__Output>((resolve, reject) => {
      client.Enroll(request, { deadline: Date.now() + deadlineMs }, (error, value) => {
        if (value === undefined || error !== null) reject(translate(error, options.address));
        else resolve(value);
      });
    });
    return Identity.parse({
      schemaVersion: 1,
      deviceId: response.deviceId,
      enrollmentAddress: options.address,
      sessionAddress: response.sessionAddress,
      natsUrls: response.natsUrls,
      keyPem: keys.keyPem,
      certificatePem: response.certificatePem,
      authorityPem: response.authorityPem,
      natsSeed: keys.natsSeed,
      natsUserJwt: response.natsUserJwt,
    });
  } finally {
    client.close();
  }
}

function translate(error: ServiceError | null, address: string): EspalierError {
  const fields = { address };
  const details = error?.details ?? "no response";
  switch (error?.code) {
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return new EspalierError(
        "enroll.denied",
        `${address} refused the token: ${details}. A token works once and for a limited time; make a new one with \`espalier token create\`.`,
        { fields, cause: error },
      );
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
      return new EspalierError(
        "enroll.unreachable",
        `No enrollment service that the given authority vouches for answers at ${address}: ${details}. Check --enroll and --authority.`,
        { fields, cause: error },
      );
    default:
      return new EspalierError("enroll.failed", `Enrollment at ${address} failed: ${details}.`, {
        fields,
        cause: error,
      });
  }
}
