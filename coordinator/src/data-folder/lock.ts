import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { EspalierError } from "@espalier/shared/errors";
import { dataNames } from "./layout.ts";

/** Held as long as a coordinator works on a data folder. */
export interface DataFolderLock {
  release(): void;
}

/**
 * Makes sure that one coordinator works on a folder. The lock is SQLite's own on an otherwise empty database: the
 * system releases it when the process ends, however it ends, so none is ever left behind.
 * @throws {EspalierError} `data-folder.in-use`
 */
export function lockDataFolder(folder: string): DataFolderLock {
  const database = new DatabaseSync(join(folder, dataNames.lock), { timeout: 0 });
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    throw new EspalierError("data-folder.in-use", `another coordinator works on ${folder}`, {
      fields: { folder },
      remedy: "end it first, or give this one another --data folder",
      cause,
    });
  }
  return { release: () => database.close() };
}
