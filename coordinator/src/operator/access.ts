import { type Role, roleIncludes } from "@espalier/shared/contracts/role";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import { callerOf, type PeerCall, peerAddress, requireOperator } from "../grpc/caller.ts";
import { createFailureLimiter } from "../identity/failure-limiter.ts";
import { endAudit, recordAudit } from "../store/audit.ts";
import type { Store } from "../store/open.ts";
import { findOperator } from "../store/operators.ts";
import { type OperatorMethod, operatorRules, type RequestOf, type Rule } from "./rules.ts";

/** The operator whose certificate lies in the coordinator's own folder; it can't be revoked, so nobody locks all out. */
export const builtInOperator = "admin";

/** Who was let in. */
export interface Admitted {
  readonly operator: string;
  readonly role: Role;
}

/** The door of one call of the operator API. */
export interface Entrance<Request> {
  /**
   * Checks who calls; a refusal is in the audit log before the caller hears of it.
   * @param request null where none was read yet (uploads)
   * @throws {EspalierError} `caller.unauthenticated`, `caller.forbidden` naming role and method
   */
  admit(call: PeerCall, request: Request | null): Promise<Admitted>;
  /** Runs a call; one that may change something is in the audit log before it begins, and its end afterwards. */
  audited<Result>(admitted: Admitted, request: Request, work: () => Promise<Result>): Promise<Result>;
}

export interface OperatorAccess {
  entrance<Method extends OperatorMethod>(method: Method): Entrance<RequestOf<Method>>;
}

const maxSubjectChars = 200;
const maxDetailChars = 500;
/** More denials of one caller are still refused, but no longer recorded, so that nobody can fill the database with them. */
const recordedDenials = { maxFailures: 100, windowMs: 60_000 };

/**
 * Decides by the caller's certificate, the operators in the database and the table of rules.
 * INVARIANT: nothing that may change something begins before its audit entry is in the database.
 */
export function createOperatorAccess(parts: { store: Store; now: () => number }): OperatorAccess {
  const { store, now } = parts;
  const denials = createFailureLimiter({ ...recordedDenials, now });

  async function roleOf(call: PeerCall): Promise<Admitted> {
    const { id: operator, serial } = requireOperator(call);
    if (operator === builtInOperator) return { operator, role: "admin" };
    const stored = await findOperator(store.db, operator);
    if (stored === null || stored.revokedAtMs !== null || stored.certificateSerial !== serial) {
      throw new EspalierError("caller.forbidden", `operator ${operator} was revoked or never made here`, {
        fields: { operator },
        remedy: `ask an admin for access: espalier operator create ${operator} --role viewer`,
      });
    }
    if (stored.expiresAtMs <= now()) {
      throw new EspalierError("caller.forbidden", `the access of operator ${operator} has ended`, {
        fields: { operator },
        remedy: "ask an admin to revoke it and to make it anew",
      });
    }
    return { operator, role: stored.role };
  }

  function requireRole({ operator, role }: Admitted, method: OperatorMethod): void {
    const needed = operatorRules[method].role;
    if (roleIncludes(role, needed)) return;
    throw new EspalierError("caller.forbidden", `${operator} has the role ${role}; ${method} needs ${needed}`, {
      fields: { operator, role, method, needed },
      remedy: `ask an admin, or use the context of an operator with the role ${needed}`,
    });
  }

  return {
    entrance<Method extends OperatorMethod>(method: Method): Entrance<RequestOf<Method>> {
      const rule: Rule<RequestOf<Method>> = operatorRules[method];
      const entry = (who: string, request: RequestOf<Method> | null) => ({
        atMs: now(),
        who,
        action: method,
        target: request === null ? "" : (rule.subject?.(request) ?? "").slice(0, maxSubjectChars),
      });
      return {
        async admit(call, request) {
          try {
            const admitted = await roleOf(call);
            requireRole(admitted, method);
            return admitted;
          } catch (error) {
            const who = callerName(call);
            if (!denials.isBlocked(who)) {
              denials.recordFailure(who);
              const detail = messageOf(error).slice(0, maxDetailChars);
              await recordAudit(store.db, { ...entry(who, request), outcome: "denied", detail });
            }
            throw error;
          }
        },
        async audited({ operator }, request, work) {
          if (rule.subject === null) return work();
          const id = await recordAudit(store.db, { ...entry(operator, request), outcome: "begun", detail: "" });
          try {
            const result = await work();
            await endAudit(store.db, id, { outcome: "allowed", detail: "" });
            return result;
          } catch (error) {
            const detail = messageOf(error).slice(0, maxDetailChars);
            await endAudit(store.db, id, { outcome: "failed", detail });
            throw error;
          }
        },
      };
    },
  };
}

/** For the audit log: the name in the certificate, else the address. */
function callerName(call: PeerCall): string {
  try {
    const { kind, id } = callerOf(call);
    return kind === "operator" ? id : `${kind} ${id}`;
  } catch {
    return peerAddress(call);
  }
}
