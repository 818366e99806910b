import { EspalierError } from "@espalier/shared/errors";
import { CamelCasePlugin, type Dialect, Kysely, Migrator } from "kysely";
import type { Queries, StoreTransaction, Tables } from "./database.ts";
import { migrations } from "./migrations/all.ts";
import { sqliteDialect } from "./sqlite.ts";

/** The coordinator's truth. Query files (devices.ts, jobs.ts, ...) take `db` or a transaction as their first argument. */
export interface Store {
  readonly db: Queries;
  /** Commits when `work` resolves, rolls back when it throws. Queries inside must use `transaction`, never `db`. */
  inTransaction<Result>(work: (transaction: StoreTransaction) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

/** Opens (creating it when absent) the SQLite store at `path` and brings its schema up to date. */
export async function openSqliteStore(path: string): Promise<Store> {
  return openStore(sqliteDialect(path));
}

/**
 * Opens a store over any dialect and brings its schema up to date.
 * @throws {EspalierError} `store.migration-failed`, also for a database written by a newer version
 */
export async function openStore(dialect: Dialect): Promise<Store> {
  const db = new Kysely<Tables>({ dialect, plugins: [new CamelCasePlugin()] });
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    await db.destroy();
    throw new EspalierError("store.migration-failed", "the database can't be brought to this version's schema", {
      remedy: "a newer coordinator may have written it: run that version, or restore a backup",
      cause: error,
    });
  }
  return {
    db,
    inTransaction: (work) => db.transaction().execute(work),
    close: () => db.destroy(),
  };
}
