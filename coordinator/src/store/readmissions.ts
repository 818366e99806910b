import type { Queries, StoreTransaction } from "./database.ts";
import { readMeta, writeMeta } from "./meta.ts";

/*
 * An operator's consent that a device whose certificate has expired may have a new one: until when, by device, and used
 * up when it is taken.
 */

const keyOf = (deviceId: string): string => `readmission/${deviceId}`;

export async function giveConsent(transaction: StoreTransaction, deviceId: string, untilMs: number): Promise<void> {
  await writeMeta(transaction, keyOf(deviceId), String(untilMs));
}

export async function findConsent(db: Queries, deviceId: string, nowMs: number): Promise<boolean> {
  return Number((await readMeta(db, keyOf(deviceId))) ?? "0") > nowMs;
}

/** @returns whether there was a consent; it is gone now */
export async function takeConsent(transaction: StoreTransaction, deviceId: string, nowMs: number): Promise<boolean> {
  const isGiven = await findConsent(transaction, deviceId, nowMs);
  await transaction.deleteFrom("meta").where("key", "=", keyOf(deviceId)).execute();
  return isGiven;
}
