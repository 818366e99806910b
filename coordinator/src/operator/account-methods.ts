import { OperatorName, Role } from "@espalier/shared/contracts/role";
import { EspalierError } from "@espalier/shared/errors";
import type { AccountMethods } from "../grpc/operator.ts";
import type { Authority } from "../identity/authority.ts";
import { listAudit } from "../store/audit.ts";
import type { Store } from "../store/open.ts";
import { findOperator, insertOperator, listOperators, revokeOperator } from "../store/operators.ts";
import { builtInOperator } from "./access.ts";

const defaultLifetimeDays = 365;
const maxLifetimeDays = 825;
const dayMs = 86_400_000;
const defaultAuditLimit = 100;
const maxAuditLimit = 10_000;

/** Who may use the operator API, and what they did with it. */
export function accountMethods(parts: {
  store: Store;
  authority: Pick<Authority, "issueOperator" | "certificatePem">;
  operatorAddress: string;
  now: () => number;
}): AccountMethods {
  const { store, authority, now } = parts;
  return {
    async createOperator({ name, role, lifetimeDays }, { operator }) {
      const wanted = requireSane(name, role, lifetimeDays);
      const expiresAtMs = now() + wanted.days * dayMs;
      const { certificatePem, keyPem, serial } = await authority.issueOperator(name, wanted.days);
      await insertOperator(store.db, {
        name,
        role: wanted.role,
        certificateSerial: serial,
        createdAtMs: now(),
        createdBy: operator,
        expiresAtMs,
      });
      const { operatorAddress } = parts;
      return { certificatePem, keyPem, authorityPem: authority.certificatePem, operatorAddress, expiresAtMs };
    },
    async listOperators() {
      const stored = await listOperators(store.db);
      return {
        operators: stored.map(({ certificateSerial: _serial, revokedAtMs, ...operator }) => ({
          ...operator,
          revokedAtMs: revokedAtMs ?? 0,
        })),
      };
    },
    async revokeOperator({ name }) {
      if (name === builtInOperator) {
        throw new EspalierError("operator.refused", `${builtInOperator} is the coordinator's own and stays`, {
          fields: { operator: name },
          remedy: "its certificate lies in the coordinator's data folder: guard that folder",
        });
      }
      if ((await findOperator(store.db, name)) === null) {
        throw new EspalierError("operator.unknown", `no operator is called ${name}`, {
          fields: { operator: name },
          remedy: "see `espalier operator list`",
        });
      }
      await revokeOperator(store.db, name, now());
      return {};
    },
    async listAudit({ sinceMs, limit, who }) {
      const bounded = Math.min(limit || defaultAuditLimit, maxAuditLimit);
      return { entries: await listAudit(store.db, { limit: bounded, sinceMs, ...(who === "" ? {} : { who }) }) };
    },
  };
}

function requireSane(name: string, role: string, lifetimeDays: number): { role: Role; days: number } {
  const days = lifetimeDays || defaultLifetimeDays;
  const named = OperatorName.safeParse(name);
  const parsed = Role.safeParse(role);
  const problems = [
    ...(named.success ? [] : named.error.issues.map(({ message }) => `name: ${message}`)),
    ...(name === builtInOperator ? [`name: ${builtInOperator} is the coordinator's own`] : []),
    ...(days <= maxLifetimeDays ? [] : [`lifetime: at most ${maxLifetimeDays} days`]),
  ];
  if (!parsed.success) problems.push(`role: expected one of ${Role.options.join(", ")}`);
  if (problems.length > 0 || !parsed.success) throw new EspalierError("operator.malformed", problems.join("; "));
  return { role: parsed.data, days };
}
