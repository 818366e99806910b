import type { Migration } from "kysely";
import { firstTables } from "./0001-first-tables.ts";
import { operators } from "./0002-operators.ts";
import { profileHistory } from "./0003-profile-history.ts";
import { referenceProfiles } from "./0004-reference-profiles.ts";
import { wireBytes } from "./0005-wire-bytes.ts";

/** In order of name. A released migration never changes; a change of schema is a new one. */
export const migrations: Record<string, Migration> = {
  "0001-first-tables": firstTables,
  "0002-operators": operators,
  "0003-profile-history": profileHistory,
  "0004-reference-profiles": referenceProfiles,
  "0005-wire-bytes": wireBytes,
};
