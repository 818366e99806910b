import { compareGenerations } from "@espalier/shared/contracts/assignment";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { Budget, BudgetEnforcement, Inventory } from "@espalier/shared/contracts/profile";
import type { Proof } from "@espalier/shared/contracts/proof";
import { EspalierError } from "@espalier/shared/errors";
import type { Queries, StoreTransaction } from "./database.ts";
import type { DeviceState } from "./devices.ts";
import { recordEvent } from "./events.ts";
import type { Labels } from "./json-column.ts";

/** A device as enrollment leaves it. */
export interface EnrolledDevice {
  readonly id: string;
  /** Made unique by a numeral when another device has it. */
  readonly wantedName: string;
  readonly labels: Labels;
  readonly certificateSerial: string;
  readonly natsPublicKey: string;
  readonly createdAtMs: number;
}

/** @returns the name it got */
export async function insertDevice(transaction: StoreTransaction, device: EnrolledDevice): Promise<string> {
  const { wantedName, labels, ...identity } = device;
  for (let suffix = 1; suffix <= 10_000; suffix += 1) {
    const name = suffix === 1 ? wantedName : `${wantedName}-${suffix}`;
    const inserted = await transaction
      .insertInto("devices")
      .values({
        ...identity,
        name,
        labels: JSON.stringify(labels),
        revokedAtMs: null,
        lastSeenAtMs: null,
        hostId: null,
        inventory: null,
        budget: null,
        enforcement: null,
        localApiUrl: "",
        activeArtifactDigest: null,
        state: "new" satisfies DeviceState,
        stateReason: "",
        stateAtMs: null,
        stateEpoch: 0,
        stateN: 0,
        stateArtifactDigest: null,
        downloadedBytes: 0,
        totalBytes: 0,
        proof: null,
      })
      .onConflict((conflict) => conflict.column("name").doNothing())
      .returning("id")
      .executeTakeFirst();
    if (inserted !== undefined) return name;
  }
  throw new EspalierError("device.name-taken", `10,000 devices are called ${wantedName}; choose another name`, {
    fields: { name: wantedName },
  });
}

/** What a device says of itself when it connects. */
export async function recordHello(
  db: Queries,
  hello: {
    deviceId: string;
    inventory: Inventory;
    budget: Budget;
    enforcement: BudgetEnforcement;
    activeArtifactDigest: Digest | null;
    localApiUrl: string;
    nowMs: number;
  },
): Promise<void> {
  await db
    .updateTable("devices")
    .set({
      inventory: JSON.stringify(hello.inventory),
      budget: JSON.stringify(hello.budget),
      enforcement: JSON.stringify(hello.enforcement),
      hostId: hello.inventory.hostId,
      activeArtifactDigest: hello.activeArtifactDigest,
      localApiUrl: hello.localApiUrl,
      lastSeenAtMs: hello.nowMs,
    })
    .where("id", "=", hello.deviceId)
    .execute();
}

export async function recordSeen(db: Queries, deviceId: string, nowMs: number): Promise<void> {
  await db.updateTable("devices").set({ lastSeenAtMs: nowMs }).where("id", "=", deviceId).execute();
}

export interface DeviceReport {
  readonly deviceId: string;
  readonly reportId: string;
  readonly generation: { readonly epoch: number; readonly n: number };
  readonly artifactDigest: Digest | null;
  readonly state: DeviceState;
  readonly reason: string;
  readonly atMs: number;
  readonly downloadedBytes: number;
  readonly totalBytes: number;
  readonly proof: Proof | null;
}

/**
 * Records a status report and its event. A repeated report changes nothing; one of an older generation than the last is
 * kept as an event only.
 * @returns whether the report is what the device's status now says
 */
export async function recordReport(
  transaction: StoreTransaction,
  report: DeviceReport,
  { rolloutId, nowMs }: { rolloutId: string | null; nowMs: number },
): Promise<boolean> {
  const isNew = await recordEvent(transaction, {
    id: `report:${report.deviceId}:${report.reportId}`,
    atMs: nowMs,
    deviceId: report.deviceId,
    rolloutId,
    kind: `device.${report.state}`,
    message: report.reason,
    data: { artifactDigest: report.artifactDigest, generation: report.generation, proof: report.proof },
  });
  if (!isNew) return false;
  const last = await transaction
    .selectFrom("devices")
    .select(["stateEpoch", "stateN"])
    .where("id", "=", report.deviceId)
    .executeTakeFirstOrThrow();
  if (compareGenerations(report.generation, { epoch: last.stateEpoch, n: last.stateN }) < 0) return false;
  await transaction
    .updateTable("devices")
    .set({
      state: report.state,
      stateReason: report.reason,
      stateAtMs: report.atMs,
      stateEpoch: report.generation.epoch,
      stateN: report.generation.n,
      stateArtifactDigest: report.artifactDigest,
      downloadedBytes: report.downloadedBytes,
      totalBytes: report.totalBytes,
      proof: report.proof === null ? null : JSON.stringify(report.proof),
      lastSeenAtMs: nowMs,
      ...activeAfter(report),
    })
    .where("id", "=", report.deviceId)
    .execute();
  return true;
}

/** A failed variant leaves the previous one serving; only `active` and `idle` change what is served. */
function activeAfter(report: DeviceReport): { activeArtifactDigest?: Digest | null } {
  if (report.state === "active") return { activeArtifactDigest: report.artifactDigest };
  if (report.state === "idle") return { activeArtifactDigest: null };
  return {};
}

export async function setLabels(db: Queries, deviceId: string, labels: Labels): Promise<void> {
  await db
    .updateTable("devices")
    .set({ labels: JSON.stringify(labels) })
    .where("id", "=", deviceId)
    .execute();
}

/** From now on neither session nor broker serves this device. */
export async function revokeDevice(db: Queries, deviceId: string, nowMs: number): Promise<void> {
  await db
    .updateTable("devices")
    .set({ revokedAtMs: nowMs })
    .where("id", "=", deviceId)
    .where("revokedAtMs", "is", null)
    .execute();
}

/** The certificate that was issued to a device last. */
export async function setCertificate(db: Queries, deviceId: string, serial: string): Promise<void> {
  await db.updateTable("devices").set({ certificateSerial: serial }).where("id", "=", deviceId).execute();
}

/** What only a living device needs: assignment and measurements go, and its name is free for another. */
export async function clearDevice(transaction: StoreTransaction, deviceId: string): Promise<void> {
  await transaction.deleteFrom("assignments").where("deviceId", "=", deviceId).execute();
  await transaction.deleteFrom("profiles").where("deviceId", "=", deviceId).execute();
  await transaction.deleteFrom("profileHistory").where("deviceId", "=", deviceId).execute();
  await transaction.deleteFrom("outbox").where("kind", "=", "assignment").where("subject", "=", deviceId).execute();
  await transaction.updateTable("devices").set({ name: deviceId }).where("id", "=", deviceId).execute();
}
