import { Role } from "@espalier/shared/contracts/role";
import { EspalierError } from "@espalier/shared/errors";
import type { OperatorRow, Queries } from "./database.ts";

/** Somebody who may call the operator API, and what for. */
export interface StoredOperator {
  readonly name: string;
  readonly role: Role;
  /** Of the only certificate that speaks for this operator. */
  readonly certificateSerial: string;
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly expiresAtMs: number;
  readonly revokedAtMs: number | null;
}

/**
 * Adds an operator. The name of a revoked one may be given again: the new certificate's serial replaces the old one's.
 * @throws {EspalierError} `operator.exists`
 */
export async function insertOperator(db: Queries, operator: Omit<StoredOperator, "revokedAtMs">): Promise<void> {
  const row: OperatorRow = { ...operator, revokedAtMs: null };
  const inserted = await db
    .insertInto("operators")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doUpdateSet(row).where("operators.revokedAtMs", "is not", null))
    .returning("name")
    .executeTakeFirst();
  if (inserted === undefined) {
    throw new EspalierError("operator.exists", `there is an operator ${operator.name} already`, {
      fields: { operator: operator.name },
      remedy: `choose another name, or revoke the old one: espalier operator revoke ${operator.name}`,
    });
  }
}

export async function findOperator(db: Queries, name: string): Promise<StoredOperator | null> {
  const row = await db.selectFrom("operators").selectAll().where("name", "=", name).executeTakeFirst();
  return row === undefined ? null : fromRow(row);
}

/** By name, revoked ones included. */
export async function listOperators(db: Queries): Promise<StoredOperator[]> {
  return (await db.selectFrom("operators").selectAll().orderBy("name").execute()).map(fromRow);
}

/** From now on the operator's certificate opens nothing. */
export async function revokeOperator(db: Queries, name: string, nowMs: number): Promise<void> {
  await db
    .updateTable("operators")
    .set({ revokedAtMs: nowMs })
    .where("name", "=", name)
    .where("revokedAtMs", "is", null)
    .execute();
}

function fromRow(row: OperatorRow): StoredOperator {
  return { ...row, role: Role.parse(row.role) };
}
