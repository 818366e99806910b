import type { Kysely, Migration } from "kysely";

export const firstTables: Migration = {
  async up(db) {
    await identityTables(db);
    await modelTables(db);
    await decisionTables(db);
    await recordTables(db);
  },
};

async function identityTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("meta")
    .addColumn("key", "text", (column) => column.primaryKey())
    .addColumn("value", "text", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("enrollment_tokens")
    .addColumn("hash", "text", (column) => column.primaryKey())
    .addColumn("labels", "text", (column) => column.notNull())
    .addColumn("expires_at_ms", "bigint", (column) => column.notNull())
    .addColumn("created_at_ms", "bigint", (column) => column.notNull())
    .addColumn("used_at_ms", "bigint")
    .addColumn("used_by", "text")
    .execute();
  await db.schema
    .createTable("devices")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("labels", "text", (column) => column.notNull())
    .addColumn("certificate_serial", "text", (column) => column.notNull())
    .addColumn("nats_public_key", "text", (column) => column.notNull())
    .addColumn("created_at_ms", "bigint", (column) => column.notNull())
    .addColumn("revoked_at_ms", "bigint")
    .addColumn("last_seen_at_ms", "bigint")
    .addColumn("host_id", "text")
    .addColumn("inventory", "text")
    .addColumn("budget", "text")
    .addColumn("enforcement", "text")
    .addColumn("local_api_url", "text", (column) => column.notNull())
    .addColumn("active_artifact_digest", "text")
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("state_reason", "text", (column) => column.notNull())
    .addColumn("state_at_ms", "bigint")
    .addColumn("state_epoch", "bigint", (column) => column.notNull())
    .addColumn("state_n", "bigint", (column) => column.notNull())
    .addColumn("state_artifact_digest", "text")
    .addColumn("downloaded_bytes", "bigint", (column) => column.notNull())
    .addColumn("total_bytes", "bigint", (column) => column.notNull())
    .addColumn("proof", "text")
    .execute();
  await db.schema
    .createTable("profiles")
    .addColumn("device_id", "text", (column) => column.primaryKey().references("devices.id"))
    .addColumn("measured_at_ms", "bigint", (column) => column.notNull())
    .addColumn("profile", "text", (column) => column.notNull())
    .execute();
}

async function modelTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("trees")
    .addColumn("digest", "text", (column) => column.primaryKey())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("size_bytes", "bigint", (column) => column.notNull())
    .addColumn("imported_at_ms", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("kits")
    .addColumn("digest", "text", (column) => column.primaryKey())
    .addColumn("model_digest", "text", (column) => column.notNull())
    .addColumn("formats_key", "text", (column) => column.notNull())
    .addColumn("created_at_ms", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("jobs")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("job", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("attempt", "integer", (column) => column.notNull())
    .addColumn("sequence", "integer", (column) => column.notNull())
    .addColumn("stage", "text", (column) => column.notNull())
    .addColumn("fraction", "double precision", (column) => column.notNull())
    .addColumn("message", "text", (column) => column.notNull())
    .addColumn("builder_id", "text")
    .addColumn("result_digest", "text")
    .addColumn("created_at_ms", "bigint", (column) => column.notNull())
    .addColumn("updated_at_ms", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("sensitivity")
    .addColumn("model_digest", "text", (column) => column.notNull())
    .addColumn("key", "text", (column) => column.notNull())
    .addColumn("report_digest", "text", (column) => column.notNull())
    .addColumn("report", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("sensitivity_key", ["model_digest", "key"])
    .execute();
  await db.schema
    .createTable("variants")
    .addColumn("artifact_digest", "text", (column) => column.primaryKey())
    .addColumn("recipe_digest", "text", (column) => column.notNull())
    .addColumn("model_digest", "text", (column) => column.notNull())
    .addColumn("build_key", "text", (column) => column.notNull())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("model_name", "text", (column) => column.notNull())
    .addColumn("manifest_bytes", "bigint", (column) => column.notNull())
    .addColumn("total_bytes", "bigint", (column) => column.notNull())
    .addColumn("report", "text", (column) => column.notNull())
    .addColumn("built_at_ms", "bigint", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("variants_by_build").on("variants").column("build_key").execute();
}

async function decisionTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("rollouts")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("phase", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("created_at_ms", "bigint", (column) => column.notNull())
    .addColumn("updated_at_ms", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("assignments")
    .addColumn("device_id", "text", (column) => column.primaryKey().references("devices.id"))
    .addColumn("epoch", "bigint", (column) => column.notNull())
    .addColumn("n", "bigint", (column) => column.notNull())
    .addColumn("artifact_digest", "text")
    .addColumn("rollout_id", "text")
    .addColumn("issued_at_ms", "bigint", (column) => column.notNull())
    .addColumn("assignment", "text", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("outbox")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("subject", "text", (column) => column.notNull())
    .addColumn("created_at_ms", "bigint", (column) => column.notNull())
    .execute();
}

async function recordTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("events")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("at_ms", "bigint", (column) => column.notNull())
    .addColumn("device_id", "text")
    .addColumn("rollout_id", "text")
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("message", "text", (column) => column.notNull())
    .addColumn("data", "text", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("events_by_time").on("events").column("at_ms").execute();
  await db.schema
    .createTable("audit")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("at_ms", "bigint", (column) => column.notNull())
    .addColumn("who", "text", (column) => column.notNull())
    .addColumn("action", "text", (column) => column.notNull())
    .addColumn("target", "text", (column) => column.notNull())
    .addColumn("outcome", "text", (column) => column.notNull())
    .addColumn("detail", "text", (column) => column.notNull())
    .execute();
}
