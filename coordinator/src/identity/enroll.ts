import { randomInt } from "node:crypto";
import { EspalierError, hasCode, messageOf } from "@espalier/shared/errors";
import { z } from "zod";
import { recordAudit } from "../store/audit.ts";
import { insertDevice } from "../store/device-changes.ts";
import { recordEvent } from "../store/events.ts";
import type { Store } from "../store/open.ts";
import { claimToken, type TokenRefusal } from "../store/tokens.ts";
import type { Authority } from "./authority.ts";
import type { BrokerIdentity } from "./broker-identity.ts";
import { DeviceLabels } from "./device-labels.ts";
import { hashOfToken } from "./enrollment-token.ts";
import type { FailureLimiter } from "./failure-limiter.ts";

export interface EnrollmentRequest {
  readonly token: string;
  readonly csrPem: string;
  readonly requestedName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly natsPublicKey: string;
}

export interface EnrolledIdentity {
  readonly deviceId: string;
  readonly certificatePem: string;
  readonly natsUserJwt: string;
}

/**
 * Makes a stranger with a valid token a device of the fleet. The identity is ours: neither the request's subject nor
 * its name decides it.
 * @param peer the caller's address, for rate limit and audit
 * @throws {EspalierError} `enrollment.limited` (too many failures from this address), `token.unauthenticated`,
 *   `enrollment.malformed`, `csr.*`, `nkey.malformed`
 */
export type Enroll = (request: EnrollmentRequest, peer: string) => Promise<EnrolledIdentity>;

/** A name or label value may be empty; both are limited to what selectors can say. */
const RequestShape = z.object({
  token: z.string().min(1).max(200),
  requestedName: z.union([
    z.literal(""),
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,47}$/, "expected letters, digits and -"),
  ]),
  labels: DeviceLabels,
});

export function createEnroll(parts: {
  store: Store;
  authority: Pick<Authority, "issueDevice">;
  broker: Pick<BrokerIdentity, "deviceJwt">;
  limiter: FailureLimiter;
  now: () => number;
}): Enroll {
  const { store, authority, broker, limiter, now } = parts;

  /** Everything that can be refused is checked before the token is used up, which is the last step. */
  async function enroll(request: EnrollmentRequest, peer: string): Promise<EnrolledIdentity> {
    const shape = RequestShape.safeParse(request);
    if (!shape.success) {
      throw new EspalierError("enrollment.malformed", shape.error.issues.map(({ message }) => message).join("; "), {
        cause: shape.error,
      });
    }
    const deviceId = newDeviceId();
    const { certificatePem, serial, expiresAtMs } = await authority.issueDevice(request.csrPem, deviceId);
    const natsUserJwt = broker.deviceJwt(deviceId, request.natsPublicKey, expiresAtMs);
    await store.inTransaction(async (transaction) => {
      const claim = await claimToken(transaction, {
        hash: hashOfToken(request.token),
        usedBy: deviceId,
        nowMs: now(),
      });
      if (!claim.claimed) throw tokenError(claim.refusal);
      const name = await insertDevice(transaction, {
        id: deviceId,
        wantedName: request.requestedName || "device",
        // What the operator said of the token outranks what the device says of itself.
        labels: { ...request.labels, ...claim.labels },
        certificateSerial: serial,
        natsPublicKey: request.natsPublicKey,
        createdAtMs: now(),
      });
      await recordEvent(transaction, {
        atMs: now(),
        deviceId,
        kind: "device.enrolled",
        message: `${name} enrolled from ${peer}`,
      });
      await recordAudit(transaction, {
        atMs: now(),
        who: peer,
        action: "enroll",
        target: deviceId,
        outcome: "allowed",
        detail: `as ${name}`,
      });
    });
    return { deviceId, certificatePem, natsUserJwt };
  }

  return async (request, peer) => {
    // Refused without a trace in the database, so that a guesser can't fill it.
    if (limiter.isBlocked(peer)) {
      throw new EspalierError("enrollment.limited", `too many failed enrollments from ${peer}`, {
        fields: { peer },
        remedy: "wait a minute",
      });
    }
    try {
      return await enroll(request, peer);
    } catch (error) {
      limiter.recordFailure(peer);
      await recordAudit(store.db, {
        atMs: now(),
        who: peer,
        action: "enroll",
        target: hasCode(error, "token.unauthenticated") ? "token" : "request",
        outcome: "denied",
        detail: messageOf(error).slice(0, 500),
      });
      throw error;
    }
  };
}

function tokenError(refusal: TokenRefusal): EspalierError {
  const why = {
    unknown: "this coordinator never made that token",
    expired: "the token has expired",
    used: "the token was used before",
  }[refusal];
  return new EspalierError("token.unauthenticated", why, {
    fields: { refusal },
    remedy: "make a new one with `espalier token create`",
  });
}

/** 60 random bits in letters that nobody confuses. */
function newDeviceId(): string {
  const alphabet = "abcdefghjkmnpqrstuvwxyz0123456789";
  return `dev-${Array.from({ length: 12 }, () => alphabet[randomInt(alphabet.length)]).join("")}`;
}
