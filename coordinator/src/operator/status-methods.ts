import { EspalierError } from "@espalier/shared/errors";
import type { StatusMethods } from "../grpc/operator.ts";
import { hashOfToken, newEnrollmentToken } from "../identity/enrollment-token.ts";
import { recordAudit } from "../store/audit.ts";
import { countDevices } from "../store/devices.ts";
import type { Store } from "../store/open.ts";
import { insertToken } from "../store/tokens.ts";

export const coordinatorVersion = "0.1.0";

const defaultLifetimeSeconds = 3_600;
const maxLifetimeSeconds = 30 * 86_400;
const maxLabels = 32;

/** The coordinator's state at a glance, and the tokens with which devices enroll. */
export function statusMethods(parts: {
  store: Store;
  endpoints: () => { httpUrl: string; enrollmentAddress: string; natsUrls: string[] };
  onlineCount: () => number;
  /** How many builders were heard of lately. */
  buildersSeen: () => Promise<number>;
  authorityPem: string;
  now: () => number;
}): StatusMethods {
  const { store, now } = parts;
  return {
    getStatus: async () => ({
      version: coordinatorVersion,
      ...parts.endpoints(),
      devicesOnline: parts.onlineCount(),
      devicesTotal: await countDevices(store.db),
      buildersSeen: await parts.buildersSeen(),
    }),
    async createToken({ lifetimeSeconds, labels }, { operator }) {
      const seconds = lifetimeSeconds || defaultLifetimeSeconds;
      requireSane(seconds, labels);
      const token = newEnrollmentToken();
      const expiresAtMs = now() + seconds * 1000;
      await store.inTransaction(async (transaction) => {
        await insertToken(transaction, { hash: hashOfToken(token), labels, expiresAtMs, createdAtMs: now() });
        await recordAudit(transaction, {
          atMs: now(),
          who: operator,
          action: "create-token",
          target: hashOfToken(token).slice(0, 12),
          outcome: "allowed",
          detail: `valid for ${seconds} s`,
        });
      });
      const { enrollmentAddress } = parts.endpoints();
      return { token, expiresAtMs, authorityPem: parts.authorityPem, enrollmentAddress };
    },
  };
}

function requireSane(lifetimeSeconds: number, labels: Readonly<Record<string, string>>): void {
  const problems = [
    ...(lifetimeSeconds <= maxLifetimeSeconds ? [] : [`a token lives at most ${maxLifetimeSeconds} s`]),
    ...(Object.keys(labels).length <= maxLabels ? [] : [`at most ${maxLabels} labels`]),
    ...Object.entries(labels)
      .filter(([key, value]) => !/^[\w./-]{1,63}$/.test(key) || !/^[\w./-]{0,63}$/.test(value))
      .map(([key]) => `label ${key}: up to 63 letters, digits and . _ / -`),
  ];
  if (problems.length > 0) throw new EspalierError("token.malformed", problems.join("; "));
}
