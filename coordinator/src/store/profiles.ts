import { DeviceProfile } from "@espalier/shared/contracts/profile";
import type { Queries } from "./database.ts";
import { readJson } from "./json-column.ts";

/** Keeps the latest profile of a device. */
export async function saveProfile(db: Queries, profile: DeviceProfile): Promise<void> {
  const row = { deviceId: profile.deviceId, measuredAtMs: profile.measuredAtMs, profile: JSON.stringify(profile) };
  await db
    .insertInto("profiles")
    .values(row)
    .onConflict((conflict) =>
      conflict.column("deviceId").doUpdateSet({ measuredAtMs: row.measuredAtMs, profile: row.profile }),
    )
    .execute();
}

/** Null before the first measurement. */
export async function findProfile(db: Queries, deviceId: string): Promise<DeviceProfile | null> {
  const row = await db.selectFrom("profiles").select("profile").where("deviceId", "=", deviceId).executeTakeFirst();
  return row === undefined ? null : readJson(row.profile, DeviceProfile, `profile of ${deviceId}`);
}

/** Every measured device's profile. */
export async function listProfiles(db: Queries): Promise<DeviceProfile[]> {
  const rows = await db.selectFrom("profiles").selectAll().orderBy("deviceId").execute();
  return rows.map((row) => readJson(row.profile, DeviceProfile, `profile of ${row.deviceId}`));
}
