import { assignDevice, listAssignments } from "./assignments.ts";
import type { StoreTransaction } from "./database.ts";
import { readEpoch, writeMeta } from "./meta.ts";

/**
 * Begins a new epoch in a database that was restored from a backup, and decides every assignment anew in it. Devices may
 * have settled generations that this database never knew; in the new epoch nothing it says is older than those. The
 * epoch is the second of the restore: of several restores of one backup, each starts a later one than those before.
 * One-time tokens of the backup are void, since some may have been used after it was made.
 * @returns the epoch
 */
export async function startEpoch(transaction: StoreTransaction, nowMs: number): Promise<number> {
  const epoch = Math.max((await readEpoch(transaction)) + 1, Math.floor(nowMs / 1000));
  await writeMeta(transaction, "epoch", String(epoch));
  for (const { deviceId, variant, rolloutId } of await listAssignments(transaction)) {
    await assignDevice(transaction, { deviceId, variant, rolloutId, nowMs });
  }
  await transaction.updateTable("enrollmentTokens").set({ expiresAtMs: 0 }).where("usedAtMs", "is", null).execute();
  return epoch;
}
