import type { Migration } from "kysely";

export const referenceProfiles: Migration = {
  async up(db) {
    await db.schema
      .createTable("reference_profiles")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("imported_at_ms", "bigint", (column) => column.notNull())
      .addColumn("imported_by", "text", (column) => column.notNull())
      .addColumn("profile", "text", (column) => column.notNull())
      .execute();
  },
};
