import { randomUUIDv7 } from "node:crypto";
import { z } from "zod";
import type { Queries } from "./database.ts";

/**
 * `begun`: admitted, and the end not recorded yet; it stays so when the coordinator was killed in the middle.
 * `allowed`: done. `failed`: admitted, but it ended with an error. `denied`: not admitted.
 */
export const AuditOutcome = z.enum(["begun", "allowed", "failed", "denied"]);
export type AuditOutcome = z.infer<typeof AuditOutcome>;

/** Who did what to what and with what outcome; never holds secrets. */
export interface AuditEntry {
  readonly atMs: number;
  /** An operator's name, or the peer address of a caller without one. */
  readonly who: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: AuditOutcome;
  readonly detail: string;
}

/** @returns the entry's id, by which its end can be recorded */
export async function recordAudit(db: Queries, entry: AuditEntry): Promise<string> {
  const id = randomUUIDv7();
  await db
    .insertInto("audit")
    .values({ id, ...entry })
    .execute();
  return id;
}

/** How an action that was recorded as `begun` ended. */
export async function endAudit(
  db: Queries,
  id: string,
  end: { outcome: "allowed" | "failed"; detail: string },
): Promise<void> {
  await db.updateTable("audit").set(end).where("id", "=", id).execute();
}

/** Newest first. */
export async function listAudit(
  db: Queries,
  { limit, sinceMs = 0, who }: { limit: number; sinceMs?: number; who?: string },
): Promise<AuditEntry[]> {
  let query = db
    .selectFrom("audit")
    .selectAll()
    .where("atMs", ">=", sinceMs)
    .orderBy("atMs", "desc")
    .orderBy("id", "desc")
    .limit(limit);
  if (who !== undefined) query = query.where("who", "=", who);
  const rows = await query.execute();
  return rows.map(({ id: _id, outcome, ...rest }) => ({ ...rest, outcome: AuditOutcome.parse(outcome) }));
}
