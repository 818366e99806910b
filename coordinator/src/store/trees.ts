import type { Digest } from "@espalier/shared/contracts/digest";
import { EspalierError } from "@espalier/shared/errors";
import type { Queries } from "./database.ts";

/** An imported model or dataset; its FileTree is the blob with this digest. */
export interface StoredTree {
  readonly digest: Digest;
  readonly kind: "model" | "dataset";
  readonly name: string;
  readonly sizeBytes: number;
  readonly importedAtMs: number;
}

/** @returns false when the same tree was imported before (its name and date stay as they were) */
export async function insertTree(db: Queries, tree: StoredTree): Promise<boolean> {
  const inserted = await db
    .insertInto("trees")
    .values({ ...tree })
    .onConflict((conflict) => conflict.column("digest").doNothing())
    .returning("digest")
    .executeTakeFirst();
  return inserted !== undefined;
}

/** By digest or name; of several with one name the newest. */
export async function findTree(
  db: Queries,
  kind: StoredTree["kind"],
  nameOrDigest: string,
): Promise<StoredTree | null> {
  const row = await db
    .selectFrom("trees")
    .selectAll()
    .where("kind", "=", kind)
    .where((where) => where.or([where("digest", "=", nameOrDigest), where("name", "=", nameOrDigest)]))
    .orderBy("importedAtMs", "desc")
    .executeTakeFirst();
  return row === undefined ? null : { ...row, kind };
}

/** As `findTree`. @throws {EspalierError} `model.unknown`, `dataset.unknown` */
export async function requireTree(db: Queries, kind: StoredTree["kind"], nameOrDigest: string): Promise<StoredTree> {
  const tree = await findTree(db, kind, nameOrDigest);
  if (tree !== null) return tree;
  throw new EspalierError(`${kind}.unknown`, `no ${kind} "${nameOrDigest}" is imported`, {
    fields: { name: nameOrDigest },
    remedy: `espalier ${kind} list shows what is; espalier ${kind} import brings it`,
  });
}

/** Models and datasets, newest first. */
export async function listTrees(db: Queries): Promise<StoredTree[]> {
  const rows = await db.selectFrom("trees").selectAll().orderBy("importedAtMs", "desc").execute();
  return rows.map((row) => ({ ...row, kind: row.kind === "dataset" ? "dataset" : "model" }));
}
