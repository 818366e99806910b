import type { Digest } from "@espalier/shared/contracts/digest";
import type { Queries } from "./database.ts";

/** A measurement kit; its Kit document is the blob with this digest. */
export interface StoredKit {
  readonly digest: Digest;
  readonly modelDigest: Digest;
  /** The formats it times, sorted and joined: which request it answers. */
  readonly formatsKey: string;
  readonly createdAtMs: number;
}

export async function insertKit(db: Queries, kit: StoredKit): Promise<void> {
  await db
    .insertInto("kits")
    .values({ ...kit })
    .onConflict((conflict) => conflict.column("digest").doNothing())
    .execute();
}

/** The newest kit of a model, of any formats when `formatsKey` is absent. */
export async function findKit(
  db: Queries,
  { modelDigest, formatsKey }: { modelDigest: Digest; formatsKey?: string },
): Promise<StoredKit | null> {
  let query = db.selectFrom("kits").selectAll().where("modelDigest", "=", modelDigest);
  if (formatsKey !== undefined) query = query.where("formatsKey", "=", formatsKey);
  return (await query.orderBy("createdAtMs", "desc").executeTakeFirst()) ?? null;
}

export async function listKits(db: Queries): Promise<StoredKit[]> {
  return db.selectFrom("kits").selectAll().orderBy("createdAtMs", "desc").execute();
}
