import type { Digest } from "@espalier/shared/contracts/digest";
import { SensitivityReport } from "@espalier/shared/contracts/report";
import type { Queries } from "./database.ts";
import { readJson } from "./json-column.ts";

/** Stores the report of a sensitivity job; `key` names what was asked (the job id). */
export async function saveSensitivity(
  db: Queries,
  entry: { modelDigest: Digest; key: string; reportDigest: Digest; report: SensitivityReport },
): Promise<void> {
  const row = { ...entry, report: JSON.stringify(entry.report) };
  await db
    .insertInto("sensitivity")
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(["modelDigest", "key"]).doUpdateSet({ reportDigest: row.reportDigest, report: row.report }),
    )
    .execute();
}

export async function findSensitivity(
  db: Queries,
  { modelDigest, key }: { modelDigest: Digest; key: string },
): Promise<SensitivityReport | null> {
  const row = await db
    .selectFrom("sensitivity")
    .select("report")
    .where("modelDigest", "=", modelDigest)
    .where("key", "=", key)
    .executeTakeFirst();
  return row === undefined ? null : readJson(row.report, SensitivityReport, `sensitivity report of ${modelDigest}`);
}
