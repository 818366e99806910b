import type { Queries } from "./database.ts";

/** Tables of what happened, which nothing is decided from once it is old. */
export type HistoryTable = "events" | "audit";

/**
 * Deletes the oldest rows that happened before a time.
 * @param most so many at once, so that no other write waits long
 * @returns how many were deleted: fewer than `most` when none is left
 */
export async function deleteOldest(
  db: Queries,
  table: HistoryTable,
  { beforeMs, most }: { beforeMs: number; most: number },
): Promise<number> {
  const oldest = db.selectFrom(table).select("id").where("atMs", "<", beforeMs).orderBy("atMs").limit(most);
  const { numDeletedRows } = await db.deleteFrom(table).where("id", "in", oldest).executeTakeFirst();
  return Number(numDeletedRows);
}
