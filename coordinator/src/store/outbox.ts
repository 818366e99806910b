import { randomUUIDv7 } from "node:crypto";
import type { Queries, StoreTransaction } from "./database.ts";

/**
 * What must still reach NATS. An entry only names its subject; the sender reads the truth when it sends, so that the
 * latest decision wins however late or often an entry is sent.
 * - `job`: publish the build job with this id, its inputs first
 * - `assignment`: put the current assignment of this device, its artifact first
 * - `artifact`: put the manifest or kit with this digest and its chunks into the artifacts bucket
 */
export type OutboxKind = "job" | "assignment" | "artifact";

export interface OutboxEntry {
  readonly id: string;
  readonly kind: OutboxKind;
  readonly subject: string;
}

/** Belongs in the transaction that decides; the sender is woken by `Outbox.wake()` and polls as well. */
export async function enqueue(
  transaction: StoreTransaction,
  entry: { kind: OutboxKind; subject: string; nowMs: number },
): Promise<void> {
  await transaction
    .insertInto("outbox")
    .values({ id: randomUUIDv7(), kind: entry.kind, subject: entry.subject, createdAtMs: entry.nowMs })
    .execute();
}

/** Oldest first, those after the entry with id `after`. */
export async function pendingOutbox(db: Queries, limit: number, after = ""): Promise<OutboxEntry[]> {
  const rows = await db.selectFrom("outbox").selectAll().where("id", ">", after).orderBy("id").limit(limit).execute();
  return rows.map(({ id, kind, subject }) => ({ id, kind: kind as OutboxKind, subject }));
}

/** An entry that was sent is gone: the outbox holds only what is owed. */
export async function removeFromOutbox(db: Queries, id: string): Promise<void> {
  await db.deleteFrom("outbox").where("id", "=", id).execute();
}

/** When the oldest entry was decided; null when nothing is owed. */
export async function oldestOwed(db: Queries): Promise<number | null> {
  const row = await db.selectFrom("outbox").select("createdAtMs").orderBy("id").limit(1).executeTakeFirst();
  return row?.createdAtMs ?? null;
}
