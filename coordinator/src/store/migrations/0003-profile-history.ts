import { type Migration, sql } from "kysely";

export const profileHistory: Migration = {
  async up(db) {
    await db.schema
      .createTable("profile_history")
      .addColumn("device_id", "text", (column) => column.notNull().references("devices.id"))
      .addColumn("version", "integer", (column) => column.notNull())
      .addColumn("measured_at_ms", "bigint", (column) => column.notNull())
      .addColumn("profile", "text", (column) => column.notNull())
      .addPrimaryKeyConstraint("profile_history_key", ["device_id", "version"])
      .execute();
    await sql`insert into profile_history (device_id, version, measured_at_ms, profile)
      select device_id, 1, measured_at_ms, profile from profiles`.execute(db);
  },
};
