import { DeviceProfile } from "@espalier/shared/contracts/profile";
import type { Queries } from "./database.ts";
import { readJson } from "./json-column.ts";

/** A profile that was measured elsewhere, to plan with. */
export interface StoredReference {
  name: string;
  importedAtMs: number;
  importedBy: string;
  profile: DeviceProfile;
}

/** Replaces one of the same name. */
export async function saveReference(db: Queries, { profile, ...reference }: StoredReference): Promise<void> {
  const row = { ...reference, profile: JSON.stringify(profile) };
  await db
    .insertInto("referenceProfiles")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
    .execute();
}

export async function findReference(db: Queries, name: string): Promise<StoredReference | null> {
  return (await listReferences(db)).find((reference) => reference.name === name) ?? null;
}

/** By name. */
export async function listReferences(db: Queries): Promise<StoredReference[]> {
  const rows = await db.selectFrom("referenceProfiles").selectAll().orderBy("name").execute();
  return rows.map((row) => ({ ...row, profile: readJson(row.profile, DeviceProfile, `reference ${row.name}`) }));
}
