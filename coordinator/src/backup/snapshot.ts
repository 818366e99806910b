import { existsSync } from "node:fs";
import { backup, DatabaseSync } from "node:sqlite";
import { EspalierError } from "@espalier/shared/errors";

/** All pages in one step: a step is one read transaction, so a busy writer can't make the copy begin anew. */
const allPages = 2_147_483_647;

/**
 * Copies a database by SQLite's online backup while others read and write it: the copy is its state at one moment. Tells
 * the epoch and how many devices it knows.
 * @throws {EspalierError} `backup.no-database`, `backup.database-damaged`
 */
export async function snapshotDatabase(source: string, copy: string): Promise<{ epoch: number; devices: number }> {
  if (!existsSync(source)) {
    throw new EspalierError("backup.no-database", `there is no database at ${source}`, {
      fields: { source },
      remedy: "name the data folder of a coordinator with --data",
    });
  }
  const database = new DatabaseSync(source, { timeout: 5_000 });
  try {
    await backup(database, copy, { rate: allPages });
  } finally {
    database.close();
  }
  const copied = new DatabaseSync(copy);
  try {
    // One file, without a log beside it.
    copied.exec("PRAGMA journal_mode = DELETE");
    const problems = copied
      .prepare("PRAGMA integrity_check")
      .all()
      .map((row) => String(row["integrity_check"]));
    if (problems[0] !== "ok") {
      throw new EspalierError("backup.database-damaged", `${source} is damaged: ${problems.slice(0, 3).join("; ")}`, {
        fields: { source },
        remedy: "restore the last good backup into a new folder",
      });
    }
    const epoch = copied.prepare("SELECT value FROM meta WHERE key = 'epoch'").get()?.["value"];
    const devices = copied.prepare("SELECT count(*) AS n FROM devices").get()?.["n"];
    return { epoch: Number(epoch ?? 1), devices: Number(devices) };
  } finally {
    copied.close();
  }
}
