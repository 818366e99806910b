import type { Migration } from "kysely";

export const operators: Migration = {
  async up(db) {
    await db.schema
      .createTable("operators")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("role", "text", (column) => column.notNull())
      .addColumn("certificate_serial", "text", (column) => column.notNull())
      .addColumn("created_at_ms", "bigint", (column) => column.notNull())
      .addColumn("created_by", "text", (column) => column.notNull())
      .addColumn("expires_at_ms", "bigint", (column) => column.notNull())
      .addColumn("revoked_at_ms", "bigint")
      .execute();
    await db.schema.createIndex("audit_by_time").on("audit").column("at_ms").execute();
    await db.schema.createIndex("events_by_device").on("events").columns(["device_id", "at_ms"]).execute();
  },
};
