import type { Digest } from "@espalier/shared/contracts/digest";
import { Budget, BudgetEnforcement, Inventory } from "@espalier/shared/contracts/profile";
import { Proof } from "@espalier/shared/contracts/proof";
import type { DeviceRow, Queries } from "./database.ts";
import { Labels, readJson } from "./json-column.ts";

/** What a device last said it does (StatusReport.State); `new` before its first report. */
export type DeviceState = "new" | "assigned" | "downloading" | "verifying" | "proving" | "active" | "failed" | "idle";

/** The last status report, for the generation and artifact that it names. */
export interface ReportedStatus {
  readonly state: DeviceState;
  readonly reason: string;
  readonly atMs: number | null;
  /** `{ epoch: 0, n: 0 }` before the first report. */
  readonly generation: { readonly epoch: number; readonly n: number };
  readonly artifactDigest: Digest | null;
  readonly downloadedBytes: number;
  readonly totalBytes: number;
  readonly proof: Proof | null;
}

export interface StoredDevice {
  readonly id: string;
  readonly name: string;
  readonly labels: Labels;
  readonly certificateSerial: string;
  readonly natsPublicKey: string;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
  readonly lastSeenAtMs: number | null;
  readonly hostId: string | null;
  /** Of the last Hello. */
  readonly inventory: Inventory | null;
  readonly budget: Budget | null;
  readonly enforcement: BudgetEnforcement | null;
  readonly localApiUrl: string;
  /** What it serves now. */
  readonly activeArtifactDigest: Digest | null;
  readonly status: ReportedStatus;
}

/** By id. */
export async function findDevice(db: Queries, deviceId: string): Promise<StoredDevice | null> {
  const row = await db.selectFrom("devices").selectAll().where("id", "=", deviceId).executeTakeFirst();
  return row === undefined ? null : fromRow(row);
}

/** By id or name. */
export async function findDeviceByIdOrName(db: Queries, idOrName: string): Promise<StoredDevice | null> {
  const row = await db
    .selectFrom("devices")
    .selectAll()
    .where((where) => where.or([where("id", "=", idOrName), where("name", "=", idOrName)]))
    .executeTakeFirst();
  return row === undefined ? null : fromRow(row);
}

/** All devices that aren't revoked, by name. */
export async function listDevices(db: Queries): Promise<StoredDevice[]> {
  const rows = await db.selectFrom("devices").selectAll().where("revokedAtMs", "is", null).orderBy("name").execute();
  return rows.map(fromRow);
}

/** How many devices aren't revoked. */
export async function countDevices(db: Queries): Promise<number> {
  const row = await db
    .selectFrom("devices")
    .select((select) => select.fn.countAll().as("count"))
    .where("revokedAtMs", "is", null)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** How many devices serve each artifact. */
export async function countActiveByArtifact(db: Queries): Promise<Map<Digest, number>> {
  const rows = await db
    .selectFrom("devices")
    .select(["activeArtifactDigest", (select) => select.fn.countAll().as("count")])
    .where("revokedAtMs", "is", null)
    .groupBy("activeArtifactDigest")
    .execute();
  const counts = new Map<Digest, number>();
  for (const row of rows) {
    if (row.activeArtifactDigest !== null) counts.set(row.activeArtifactDigest, Number(row.count));
  }
  return counts;
}

/** NATS keys of revoked devices -> when they were revoked, in seconds since 1970. */
export async function listRevokedNatsKeys(db: Queries): Promise<Record<string, number>> {
  const rows = await db
    .selectFrom("devices")
    .select(["natsPublicKey", "revokedAtMs"])
    .where("revokedAtMs", "is not", null)
    .execute();
  return Object.fromEntries(rows.map((row) => [row.natsPublicKey, Math.ceil((row.revokedAtMs ?? 0) / 1000)]));
}

function fromRow(row: DeviceRow): StoredDevice {
  const of = (what: string) => `${what} of device ${row.id}`;
  return {
    id: row.id,
    name: row.name,
    labels: readJson(row.labels, Labels, of("labels")),
    certificateSerial: row.certificateSerial,
    natsPublicKey: row.natsPublicKey,
    createdAtMs: row.createdAtMs,
    revokedAtMs: row.revokedAtMs,
    lastSeenAtMs: row.lastSeenAtMs,
    hostId: row.hostId,
    inventory: row.inventory === null ? null : readJson(row.inventory, Inventory, of("inventory")),
    budget: row.budget === null ? null : readJson(row.budget, Budget, of("budget")),
    enforcement: row.enforcement === null ? null : readJson(row.enforcement, BudgetEnforcement, of("enforcement")),
    localApiUrl: row.localApiUrl,
    activeArtifactDigest: row.activeArtifactDigest,
    status: {
      state: row.state as DeviceState,
      reason: row.stateReason,
      atMs: row.stateAtMs,
      generation: { epoch: row.stateEpoch, n: row.stateN },
      artifactDigest: row.stateArtifactDigest,
      downloadedBytes: row.downloadedBytes,
      totalBytes: row.totalBytes,
      proof: row.proof === null ? null : readJson(row.proof, Proof, of("proof")),
    },
  };
}
