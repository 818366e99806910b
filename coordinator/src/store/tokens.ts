import type { Queries } from "./database.ts";
import { Labels, readJson } from "./json-column.ts";

/** Why a token can't be used. */
export type TokenRefusal = "unknown" | "expired" | "used";

export type TokenClaim =
  | { readonly claimed: true; readonly labels: Labels }
  | { readonly claimed: false; readonly refusal: TokenRefusal };

/** Stores a token by its hash; the token itself is never stored. */
export async function insertToken(
  db: Queries,
  token: { hash: string; labels: Labels; expiresAtMs: number; createdAtMs: number },
): Promise<void> {
  await db
    .insertInto("enrollmentTokens")
    .values({ ...token, labels: JSON.stringify(token.labels), usedAtMs: null, usedBy: null })
    .execute();
}

/** Uses a token up for `usedBy`. One update with its condition inside: of any number of callers one succeeds. */
export async function claimToken(
  db: Queries,
  { hash, usedBy, nowMs }: { hash: string; usedBy: string; nowMs: number },
): Promise<TokenClaim> {
  const claimed = await db
    .updateTable("enrollmentTokens")
    .set({ usedAtMs: nowMs, usedBy })
    .where("hash", "=", hash)
    .where("usedAtMs", "is", null)
    .where("expiresAtMs", ">", nowMs)
    .returning("labels")
    .executeTakeFirst();
  if (claimed !== undefined) return { claimed: true, labels: readJson(claimed.labels, Labels, "token labels") };
  const row = await db.selectFrom("enrollmentTokens").select("usedAtMs").where("hash", "=", hash).executeTakeFirst();
  if (row === undefined) return { claimed: false, refusal: "unknown" };
  return { claimed: false, refusal: row.usedAtMs === null ? "expired" : "used" };
}
