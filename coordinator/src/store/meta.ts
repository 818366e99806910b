import type { Queries } from "./database.ts";

/** Null when the key was never set. */
export async function readMeta(db: Queries, key: string): Promise<string | null> {
  const row = await db.selectFrom("meta").select("value").where("key", "=", key).executeTakeFirst();
  return row?.value ?? null;
}

export async function writeMeta(db: Queries, key: string, value: string): Promise<void> {
  await db
    .insertInto("meta")
    .values({ key, value })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
    .execute();
}

/** The epoch of generations: a database restored from a backup starts a new one (epoch.ts). */
export async function readEpoch(db: Queries): Promise<number> {
  return Number((await readMeta(db, "epoch")) ?? "1");
}
