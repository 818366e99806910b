import type { Digest } from "@espalier/shared/contracts/digest";
import { DeviceProfile } from "@espalier/shared/contracts/profile";
import type { Queries } from "./database.ts";
import { readJson } from "./json-column.ts";

/** Versions of a device's profile that are kept. */
const keptVersions = 50;

/** Makes it the device's profile, and keeps it in its history. */
export async function saveProfile(db: Queries, profile: DeviceProfile): Promise<void> {
  const { deviceId, version, measuredAtMs } = profile;
  const row = { deviceId, measuredAtMs, profile: JSON.stringify(profile) };
  await db
    .insertInto("profiles")
    .values(row)
    .onConflict((conflict) =>
      conflict.column("deviceId").doUpdateSet({ measuredAtMs: row.measuredAtMs, profile: row.profile }),
    )
    .execute();
  await db
    .insertInto("profileHistory")
    .values({ ...row, version })
    .onConflict((conflict) =>
      conflict.columns(["deviceId", "version"]).doUpdateSet({ measuredAtMs: row.measuredAtMs, profile: row.profile }),
    )
    .execute();
  await db
    .deleteFrom("profileHistory")
    .where("deviceId", "=", deviceId)
    .where("version", "<=", version - keptVersions)
    .execute();
}

/** A device's profiles, newest first. */
export async function listProfileHistory(db: Queries, deviceId: string): Promise<DeviceProfile[]> {
  const rows = await db
    .selectFrom("profileHistory")
    .select(["profile", "version"])
    .where("deviceId", "=", deviceId)
    .orderBy("version", "desc")
    .execute();
  return rows.map((row) => readJson(row.profile, DeviceProfile, `profile ${row.version} of ${deviceId}`));
}

/** Null before the first measurement. */
export async function findProfile(db: Queries, deviceId: string): Promise<DeviceProfile | null> {
  const row = await db.selectFrom("profiles").select("profile").where("deviceId", "=", deviceId).executeTakeFirst();
  return row === undefined ? null : readJson(row.profile, DeviceProfile, `profile of ${deviceId}`);
}

/** The newest profile of a device that has timings of a kit; a device that runs several models was measured with several. */
export async function findProfileWithKit(
  db: Queries,
  deviceId: string,
  isWanted: (kitDigest: Digest) => boolean,
): Promise<DeviceProfile | null> {
  const timed = (profile: DeviceProfile | null) => {
    const kitDigest = profile?.measurements.kit?.kitDigest;
    return kitDigest !== undefined && isWanted(kitDigest);
  };
  const newest = await findProfile(db, deviceId);
  // The history is read only where it must be: profiles are large.
  if (newest === null || timed(newest)) return newest;
  return (await listProfileHistory(db, deviceId)).find(timed) ?? null;
}

/** Every measured device's profile. */
export async function listProfiles(db: Queries): Promise<DeviceProfile[]> {
  const rows = await db.selectFrom("profiles").selectAll().orderBy("deviceId").execute();
  return rows.map((row) => readJson(row.profile, DeviceProfile, `profile of ${row.deviceId}`));
}
