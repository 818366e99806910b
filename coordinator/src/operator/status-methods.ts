import { EspalierError } from "@espalier/shared/errors";
import type { StatusMethods } from "../grpc/operator.ts";
import { requireLabels } from "../identity/device-labels.ts";
import { hashOfToken, newEnrollmentToken } from "../identity/enrollment-token.ts";
import { countDevices } from "../store/devices.ts";
import type { Store } from "../store/open.ts";
import { insertToken } from "../store/tokens.ts";

export const coordinatorVersion = "0.1.0";

const defaultLifetimeSeconds = 3_600;
const maxLifetimeSeconds = 30 * 86_400;

/** The coordinator's state at a glance, and the tokens with which devices enroll. */
export function statusMethods(parts: {
  store: Store;
  endpoints: () => { httpUrl: string; enrollmentAddress: string; natsUrls: string[] };
  onlineCount: () => number;
  /** How many builders were heard of lately; null while the broker can't say. */
  buildersSeen: () => Promise<number | null>;
  authorityPem: string;
  now: () => number;
}): StatusMethods {
  const { store, now } = parts;
  return {
    getStatus: async (_request, { operator, role }) => ({
      version: coordinatorVersion,
      ...parts.endpoints(),
      devicesOnline: parts.onlineCount(),
      devicesTotal: await countDevices(store.db),
      buildersSeen: (await parts.buildersSeen()) ?? 0,
      operator,
      role,
      nowMs: now(),
    }),
    async createToken({ lifetimeSeconds, labels }) {
      const seconds = lifetimeSeconds || defaultLifetimeSeconds;
      if (seconds > maxLifetimeSeconds) {
        throw new EspalierError("token.malformed", `a token lives at most ${maxLifetimeSeconds} s`);
      }
      const token = newEnrollmentToken();
      const expiresAtMs = now() + seconds * 1000;
      await insertToken(store.db, {
        hash: hashOfToken(token),
        labels: requireLabels(labels),
        expiresAtMs,
        createdAtMs: now(),
      });
      const { enrollmentAddress } = parts.endpoints();
      return { token, expiresAtMs, authorityPem: parts.authorityPem, enrollmentAddress };
    },
  };
}
