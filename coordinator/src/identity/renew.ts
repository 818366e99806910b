import { EspalierError, hasCode } from "@espalier/shared/errors";
import { recordAudit } from "../store/audit.ts";
import { setCertificate } from "../store/device-changes.ts";
import { findDevice } from "../store/devices.ts";
import { recordEvent } from "../store/events.ts";
import type { Store } from "../store/open.ts";
import { findConsent, takeConsent } from "../store/readmissions.ts";
import type { Authority } from "./authority.ts";
import type { BrokerIdentity } from "./broker-identity.ts";
import type { FailureLimiter } from "./failure-limiter.ts";

/** What a device goes on with. */
export interface RenewedIdentity {
  readonly certificatePem: string;
  readonly natsUserJwt: string;
}

/** New certificates for devices that have one. */
export interface Renewal {
  /** For a device that is connected by its present certificate. @throws {EspalierError} `csr.*` */
  renew(deviceId: string, csrPem: string): Promise<RenewedIdentity>;
  /**
   * For a device whose certificate has expired, once an operator has consented.
   * @param peer the caller's address, for rate limit and audit
   * @throws {EspalierError} `enrollment.limited`, `certificate.*`, `csr.*`, `readmission.forbidden`
   */
  readmit(request: { certificatePem: string; csrPem: string }, peer: string): Promise<RenewedIdentity>;
}

const dayMs = 86_400_000;

export function createRenewal(parts: {
  store: Store;
  authority: Pick<Authority, "issueDevice" | "deviceOf">;
  broker: Pick<BrokerIdentity, "deviceJwt">;
  limiter: FailureLimiter;
  now: () => number;
}): Renewal {
  const { store, authority, broker, limiter, now } = parts;

  async function issue(deviceId: string, csrPem: string, how: "renewed" | "readmitted"): Promise<RenewedIdentity> {
    const { certificatePem, serial, expiresAtMs } = await authority.issueDevice(csrPem, deviceId);
    const natsPublicKey = await store.inTransaction(async (transaction) => {
      const device = await findDevice(transaction, deviceId);
      const isConsented = how === "renewed" || (await takeConsent(transaction, deviceId, now()));
      if (device === null || device.revokedAtMs !== null || !isConsented) throw refused(deviceId);
      await setCertificate(transaction, deviceId, serial);
      const message = `${how} until ${new Date(expiresAtMs).toISOString()}`;
      await recordEvent(transaction, { atMs: now(), deviceId, kind: `device.${how}`, message });
      return device.natsPublicKey;
    });
    return { certificatePem, natsUserJwt: broker.deviceJwt(deviceId, natsPublicKey, expiresAtMs) };
  }

  /** Told once a day, so that a device that waits doesn't fill the events. */
  async function askForConsent(deviceId: string, peer: string): Promise<void> {
    await recordEvent(store.db, {
      id: `readmission:${deviceId}:${Math.floor(now() / dayMs)}`,
      atMs: now(),
      deviceId,
      kind: "device.asks-readmission",
      message: `its certificate has expired; it asks from ${peer}. Consent: espalier device readmit ${deviceId}`,
    });
  }

  return {
    renew: (deviceId, csrPem) => issue(deviceId, csrPem, "renewed"),
    async readmit({ certificatePem, csrPem }, peer) {
      if (limiter.isBlocked(peer)) {
        throw new EspalierError("enrollment.limited", `too many failed enrollments from ${peer}`, { fields: { peer } });
      }
      let deviceId: string;
      try {
        deviceId = await authority.deviceOf(certificatePem, csrPem);
      } catch (error) {
        limiter.recordFailure(peer);
        const detail = hasCode(error, "certificate.unauthenticated")
          ? "not a device's certificate and key"
          : "malformed";
        await recordAudit(store.db, {
          atMs: now(),
          who: peer,
          action: "readmit",
          target: "",
          outcome: "denied",
          detail,
        });
        throw error;
      }
      const device = await findDevice(store.db, deviceId);
      if (device === null || device.revokedAtMs !== null) throw refused(deviceId);
      if (!(await findConsent(store.db, deviceId, now()))) {
        await askForConsent(deviceId, peer);
        throw refused(deviceId);
      }
      return issue(deviceId, csrPem, "readmitted");
    },
  };
}

function refused(deviceId: string): EspalierError {
  return new EspalierError("readmission.forbidden", `device ${deviceId} waits for an operator's consent`, {
    fields: { deviceId },
    remedy: `espalier device readmit ${deviceId}`,
  });
}
