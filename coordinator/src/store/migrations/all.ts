import type { Migration } from "kysely";
import { firstTables } from "./0001-first-tables.ts";

/** In order of name. A released migration never changes; a change of schema is a new one. */
export const migrations: Record<string, Migration> = {
  "0001-first-tables": firstTables,
};
