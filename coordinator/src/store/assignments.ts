import { isDeepStrictEqual } from "node:util";
import { Assignment } from "@espalier/shared/contracts/assignment";
import type { AssignmentRow, Queries, StoreTransaction } from "./database.ts";
import { readJson } from "./json-column.ts";
import { readEpoch } from "./meta.ts";
import { enqueue } from "./outbox.ts";

/**
 * Decides what a device shall run: its next generation, owed to NATS in the same transaction. Asked again for what the
 * device is already assigned within the same rollout, it changes nothing, so that a repeated step after a crash doesn't
 * tell the device twice.
 */
export async function assignDevice(
  transaction: StoreTransaction,
  decision: { deviceId: string; variant: Assignment["variant"]; rolloutId: string | null; nowMs: number },
): Promise<Assignment> {
  const current = await findAssignment(transaction, decision.deviceId);
  const epoch = await readEpoch(transaction);
  if (current !== null && current.generation.epoch === epoch && isSame(current, decision)) return current;
  const assignment: Assignment = {
    schemaVersion: 1,
    deviceId: decision.deviceId,
    generation: { epoch, n: current?.generation.epoch === epoch ? current.generation.n + 1 : 1 },
    rolloutId: decision.rolloutId,
    variant: decision.variant,
    issuedAtMs: decision.nowMs,
  };
  const row = toRow(assignment);
  await transaction
    .insertInto("assignments")
    .values(row)
    .onConflict((conflict) => conflict.column("deviceId").doUpdateSet(row))
    .execute();
  await enqueue(transaction, { kind: "assignment", subject: decision.deviceId, nowMs: decision.nowMs });
  return assignment;
}

function isSame(current: Assignment, wanted: { variant: Assignment["variant"]; rolloutId: string | null }): boolean {
  return current.rolloutId === wanted.rolloutId && isDeepStrictEqual(current.variant, wanted.variant);
}

/** Null for a device that was never assigned anything. */
export async function findAssignment(db: Queries, deviceId: string): Promise<Assignment | null> {
  const row = await db.selectFrom("assignments").selectAll().where("deviceId", "=", deviceId).executeTakeFirst();
  return row === undefined ? null : fromRow(row);
}

/** The current assignment of every device that has one. */
export async function listAssignments(db: Queries): Promise<Assignment[]> {
  return (await db.selectFrom("assignments").selectAll().orderBy("deviceId").execute()).map(fromRow);
}

function toRow(assignment: Assignment): AssignmentRow {
  return {
    deviceId: assignment.deviceId,
    epoch: assignment.generation.epoch,
    n: assignment.generation.n,
    artifactDigest: assignment.variant?.artifactDigest ?? null,
    rolloutId: assignment.rolloutId,
    issuedAtMs: assignment.issuedAtMs,
    assignment: JSON.stringify(assignment),
  };
}

function fromRow(row: AssignmentRow): Assignment {
  return readJson(row.assignment, Assignment, `assignment of ${row.deviceId}`);
}
