import { randomUUIDv7 } from "node:crypto";
import type { Queries } from "./database.ts";

/** Who did what to what and with what outcome; never holds secrets. */
export interface AuditEntry {
  readonly atMs: number;
  /** A SPIFFE identity, or the peer address of a caller without one. */
  readonly who: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: "allowed" | "denied";
  readonly detail: string;
}

export async function recordAudit(db: Queries, entry: AuditEntry): Promise<void> {
  await db
    .insertInto("audit")
    .values({ id: randomUUIDv7(), ...entry })
    .execute();
}

/** Newest first. */
export async function listAudit(db: Queries, limit: number): Promise<AuditEntry[]> {
  const rows = await db.selectFrom("audit").selectAll().orderBy("id", "desc").limit(limit).execute();
  return rows.map(({ id: _id, outcome, ...rest }) => ({
    ...rest,
    outcome: outcome === "allowed" ? "allowed" : "denied",
  }));
}
