import { type RolloutPhase, RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError } from "@espalier/shared/errors";
import type { Queries } from "./database.ts";
import { readJson } from "./json-column.ts";

/** @throws {EspalierError} `rollout.exists` for an id that is taken */
export async function insertRollout(db: Queries, state: RolloutState): Promise<void> {
  const inserted = await db
    .insertInto("rollouts")
    .values(toRow(state))
    .onConflict((conflict) => conflict.column("id").doNothing())
    .returning("id")
    .executeTakeFirst();
  if (inserted === undefined) {
    throw new EspalierError("rollout.exists", `rollout ${state.rolloutId} exists already`, {
      fields: { rolloutId: state.rolloutId },
    });
  }
}

/** Overwrites the state of a rollout that exists. */
export async function updateRollout(db: Queries, state: RolloutState): Promise<void> {
  const { phase, state: text, updatedAtMs } = toRow(state);
  await db
    .updateTable("rollouts")
    .set({ phase, state: text, updatedAtMs })
    .where("id", "=", state.rolloutId)
    .executeTakeFirstOrThrow();
}

/** By id or name; of several with one name the newest. */
export async function findRollout(db: Queries, idOrName: string): Promise<RolloutState | null> {
  const row = await db
    .selectFrom("rollouts")
    .select(["id", "state"])
    .where((where) => where.or([where("id", "=", idOrName), where("name", "=", idOrName)]))
    .orderBy("createdAtMs", "desc")
    .executeTakeFirst();
  return row === undefined ? null : readJson(row.state, RolloutState, `rollout ${row.id}`);
}

/** Newest first, only those in one of `phases` when given. */
export async function listRollouts(
  db: Queries,
  filter: { phases?: readonly RolloutPhase[] } = {},
): Promise<RolloutState[]> {
  let query = db.selectFrom("rollouts").select(["id", "state"]).orderBy("createdAtMs", "desc");
  if (filter.phases !== undefined) query = query.where("phase", "in", filter.phases);
  return (await query.execute()).map((row) => readJson(row.state, RolloutState, `rollout ${row.id}`));
}

function toRow(state: RolloutState) {
  return {
    id: state.rolloutId,
    name: state.spec.name,
    phase: state.phase,
    state: JSON.stringify(state),
    createdAtMs: state.createdAtMs,
    updatedAtMs: state.updatedAtMs,
  };
}
