import { X509Certificate } from "node:crypto";
import { statfs } from "node:fs/promises";
import type { DiagnoseMethods } from "../grpc/operator.ts";
import { listDevices } from "../store/devices.ts";
import type { Store } from "../store/open.ts";
import { listOperators } from "../store/operators.ts";
import { oldestOwed } from "../store/outbox.ts";
import { listRollouts } from "../store/rollouts.ts";
import { coordinatorFindings } from "./decide/findings.ts";
import { coordinatorVersion } from "./status-methods.ts";

/** Gathers what the coordinator knows of its own state for `espalier doctor`. */
export function diagnoseMethods(parts: {
  store: Store;
  folder: string;
  /** PEM of the authority and of the certificate that the gRPC ports show. */
  authorityPem: string;
  serverPem: string;
  isOnline: (deviceId: string) => boolean;
  brokerConnected: () => boolean;
  buildersSeen: () => Promise<number | null>;
  now: () => number;
}): DiagnoseMethods {
  const { store, folder, isOnline, now } = parts;

  async function certificates() {
    const nowMs = now();
    const operators = (await listOperators(store.db)).filter(({ revokedAtMs }) => revokedAtMs === null);
    return [
      {
        what: "the authority's certificate",
        expiresAtMs: endOf(parts.authorityPem),
        fix: "plan a new authority: every device and operator enrolls anew",
      },
      {
        what: "the coordinator's certificate",
        expiresAtMs: endOf(parts.serverPem),
        fix: "restart the coordinator: it makes a new one at each start",
      },
      ...operators
        .filter(({ expiresAtMs }) => expiresAtMs - nowMs < 30 * 86_400_000)
        .map(({ name, role, expiresAtMs }) => ({
          what: `operator ${name}'s access`,
          expiresAtMs,
          fix: `espalier operator revoke ${name}; espalier operator create ${name} --role ${role}`,
        })),
    ];
  }

  return {
    async diagnose() {
      const { bavail, blocks, bsize } = await statfs(folder);
      const devices = await listDevices(store.db);
      return {
        findings: coordinatorFindings({
          nowMs: now(),
          version: coordinatorVersion,
          dataFolder: folder,
          disk: { freeBytes: bavail * bsize, totalBytes: blocks * bsize },
          brokerConnected: parts.brokerConnected(),
          oldestOwedAtMs: await oldestOwed(store.db),
          builders: await parts.buildersSeen(),
          certificates: await certificates(),
          devices: devices.map(({ id, name, inventory, status }) => ({
            name,
            online: isOnline(id),
            agentVersion: inventory?.agentVersion ?? null,
            state: status.state,
          })),
          pausedRollouts: (await listRollouts(store.db, { phases: ["paused"] })).map(({ spec }) => spec.name),
        }),
      };
    },
  };
}

function endOf(pem: string): number {
  return Date.parse(new X509Certificate(pem).validTo);
}
