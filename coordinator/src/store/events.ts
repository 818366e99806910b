import { randomUUIDv7 } from "node:crypto";
import { z } from "zod";
import type { Queries } from "./database.ts";
import { readJson } from "./json-column.ts";

/** Something that happened to a device or a rollout, for people and for the console. */
export interface StoredEvent {
  readonly id: string;
  readonly atMs: number;
  readonly deviceId: string | null;
  readonly rolloutId: string | null;
  /** `<subject>.<what>`, e.g. `device.connected`, `rollout.gate`. */
  readonly kind: string;
  readonly message: string;
  readonly data: Record<string, unknown>;
}

export interface NewEvent {
  /** Given where a repeat of the same happening must not be recorded twice. */
  readonly id?: string;
  readonly atMs: number;
  readonly deviceId?: string | null;
  readonly rolloutId?: string | null;
  readonly kind: string;
  readonly message: string;
  readonly data?: Record<string, unknown>;
}

/** @returns false when an event with this id was already there */
export async function recordEvent(db: Queries, event: NewEvent): Promise<boolean> {
  const inserted = await db
    .insertInto("events")
    .values({
      id: event.id ?? randomUUIDv7(),
      atMs: event.atMs,
      deviceId: event.deviceId ?? null,
      rolloutId: event.rolloutId ?? null,
      kind: event.kind,
      message: event.message,
      data: JSON.stringify(event.data ?? {}),
    })
    .onConflict((conflict) => conflict.column("id").doNothing())
    .returning("id")
    .executeTakeFirst();
  return inserted !== undefined;
}

/** Newest first. */
export async function listEvents(
  db: Queries,
  {
    deviceId,
    rolloutId,
    sinceMs = 0,
    limit,
  }: { deviceId?: string; rolloutId?: string; sinceMs?: number; limit: number },
): Promise<StoredEvent[]> {
  let query = db
    .selectFrom("events")
    .selectAll()
    .where("atMs", ">=", sinceMs)
    .orderBy("atMs", "desc")
    .orderBy("id", "desc")
    .limit(limit);
  if (deviceId !== undefined) query = query.where("deviceId", "=", deviceId);
  if (rolloutId !== undefined) query = query.where("rolloutId", "=", rolloutId);
  const rows = await query.execute();
  return rows.map((row) => ({ ...row, data: readJson(row.data, EventData, `event ${row.id}`) }));
}

const EventData = z.record(z.string(), z.unknown());
