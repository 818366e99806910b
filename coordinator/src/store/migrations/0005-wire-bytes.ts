import type { Migration } from "kysely";

/** Null for variants that were taken in before artifacts travelled packed: they count with all their bytes. */
export const wireBytes: Migration = {
  async up(db) {
    await db.schema.alterTable("variants").addColumn("wire_bytes", "bigint").execute();
  },
};
