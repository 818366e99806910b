import type { Digest } from "@espalier/shared/contracts/digest";
import { EvaluationReport } from "@espalier/shared/contracts/report";
import type { Queries, VariantRow } from "./database.ts";
import { readJson } from "./json-column.ts";

/** A built artifact; its Manifest is the blob with this digest. */
export interface StoredVariant {
  readonly artifactDigest: Digest;
  readonly recipeDigest: Digest;
  readonly modelDigest: Digest;
  /** The id of the job that built it: model, recipe, data and settings together. */
  readonly buildKey: Digest;
  readonly name: string;
  readonly modelName: string;
  readonly manifestBytes: number;
  /** Of its files as they lie on a disk. */
  readonly totalBytes: number;
  /** What a device that holds nothing of it downloads; null for variants of before artifacts travelled packed. */
  readonly wireBytes: number | null;
  readonly report: EvaluationReport;
  readonly builtAtMs: number;
}

/** A variant that is there already stays as it was. */
export async function insertVariant(db: Queries, variant: StoredVariant): Promise<void> {
  await db
    .insertInto("variants")
    .values({ ...variant, report: JSON.stringify(variant.report) })
    .onConflict((conflict) => conflict.column("artifactDigest").doNothing())
    .execute();
}

export async function findVariant(db: Queries, artifactDigest: Digest): Promise<StoredVariant | null> {
  const row = await db
    .selectFrom("variants")
    .selectAll()
    .where("artifactDigest", "=", artifactDigest)
    .executeTakeFirst();
  return row === undefined ? null : fromRow(row);
}

/** The variant that this build job made, if it is done. */
export async function findVariantByBuild(db: Queries, buildKey: Digest): Promise<StoredVariant | null> {
  const row = await db
    .selectFrom("variants")
    .selectAll()
    .where("buildKey", "=", buildKey)
    .orderBy("builtAtMs", "desc")
    .executeTakeFirst();
  return row === undefined ? null : fromRow(row);
}

/** All variants, of one model when given, newest first. */
export async function listVariants(db: Queries, filter: { modelDigest?: Digest } = {}): Promise<StoredVariant[]> {
  let query = db.selectFrom("variants").selectAll().orderBy("builtAtMs", "desc");
  if (filter.modelDigest !== undefined) query = query.where("modelDigest", "=", filter.modelDigest);
  return (await query.execute()).map(fromRow);
}

function fromRow(row: VariantRow): StoredVariant {
  return { ...row, report: readJson(row.report, EvaluationReport, `report of variant ${row.artifactDigest}`) };
}
