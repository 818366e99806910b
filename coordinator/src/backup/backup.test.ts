import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { BackupEvent } from "@espalier/shared/contracts/backup";
import { digestOfBytes } from "@espalier/shared/contracts/digest";
import { hasCode } from "@espalier/shared/errors";
import { packTar } from "modern-tar";
import { openBlobStore, readBlobs } from "../blobs/blob-store.ts";
import { assignDevice, findAssignment } from "../store/assignments.ts";
import { listAudit } from "../store/audit.ts";
import { insertDevice } from "../store/device-changes.ts";
import { openSqliteStore, type Store } from "../store/open.ts";
import { pendingOutbox } from "../store/outbox.ts";
import { claimToken, insertToken } from "../store/tokens.ts";
import { backUp } from "./back-up.ts";
import { restore } from "./restore.ts";

const backupMs = 1_800_000_000_000;
const variant = (text: string) => ({
  artifactDigest: digestOfBytes(text),
  name: text,
  modelName: "m",
  manifestBytes: 1,
  totalBytes: 2,
  timing: { promptTokens: 8, outputTokens: 4 },
});

/** A data folder with a device, its assignment, a token, blobs and keys; the store stays open, as in a running coordinator. */
async function startSite(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "espalier-backup-test-"));
  const data = join(folder, "data");
  await mkdir(join(data, "ca"), { recursive: true });
  await mkdir(join(data, "nats", "data"), { recursive: true });
  await mkdir(join(data, "nats-identity"));
  await writeFile(join(data, "ca", "authority.key"), "key");
  await writeFile(join(data, "nats-identity", "seeds.json"), "seeds");
  await writeFile(join(data, "nats", "data", "stream"), "a projection");
  await writeFile(join(data, "ports.json"), "{}");
  const blobs = await openBlobStore(join(data, "blobs"));
  const digests = await Promise.all(["one", "two", "three"].map((text) => blobs.put(Buffer.from(text))));
  const store = await openSqliteStore(join(data, "coordinator.db"));
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  await store.inTransaction((transaction) =>
    insertDevice(transaction, {
      id: "dev-1",
      wantedName: "dev-1",
      labels: {},
      certificateSerial: "01",
      natsPublicKey: "U",
      createdAtMs: 1,
    }),
  );
  await assign(store, "a");
  await insertToken(store.db, { hash: "h", labels: {}, expiresAtMs: backupMs * 2, createdAtMs: 0 });
  const events: BackupEvent[] = [];
  const tell = (event: BackupEvent) => void events.push(event);
  return {
    folder,
    data,
    store,
    digests: digests.sort(),
    events,
    backUp: (name: string) => backUp({ dataFolder: data, target: join(folder, name), tell, now: () => backupMs }),
    restore: (name: string, to: string, nowMs = backupMs) =>
      restore({ source: join(folder, name), dataFolder: join(folder, to), tell, now: () => nowMs }),
  };
}

function assign(store: Store, text: string) {
  return store.inTransaction((transaction) =>
    assignDevice(transaction, { deviceId: "dev-1", variant: variant(text), rolloutId: "r", nowMs: 7 }),
  );
}

async function openRestored(t: TestContext, folder: string): Promise<Store> {
  const store = await openSqliteStore(join(folder, "coordinator.db"));
  t.after(() => store.close());
  return store;
}

for (const name of ["backup.tar", "backup"]) {
  test(`what was backed up into ${name} while the database was in use comes back whole, without the broker's data`, async (t) => {
    const site = await startSite(t);
    await site.backUp(name);
    await assign(site.store, "after the backup");
    await site.restore(name, "restored");
    const restored = join(site.folder, "restored");
    assert.deepEqual(await Array.fromAsync(readBlobs(join(restored, "blobs")).list()), site.digests);
    for (const path of ["ca/authority.key", "nats-identity/seeds.json", "ports.json"]) {
      assert.equal(await readFile(join(restored, path), "utf8"), await readFile(join(site.data, path), "utf8"));
      assert.equal((await stat(join(restored, path))).mode & 0o077, 0, `${path} is the owner's only`);
    }
    assert.ok(!(await readdir(restored)).includes("nats"));
    const store = await openRestored(t, restored);
    assert.equal((await findAssignment(store.db, "dev-1"))?.variant?.name, "a");
    assert.deepEqual(
      site.events.filter(({ kind }) => kind === "done").map(({ totalBytes }) => totalBytes),
      Array(2).fill(site.events.at(-1)?.totalBytes),
    );
    assert.equal((await stat(join(site.folder, name))).mode & 0o077, 0, "a backup holds keys");
    assert.deepEqual(
      (await readdir(site.folder)).sort(),
      ["backup", "backup.tar", "data", "restored"].filter((known) => known === name || !known.startsWith("backup")),
    );
  });
}

test("each restore starts a later epoch, decides assignments anew in it and voids tokens", async (t) => {
  const site = await startSite(t);
  await site.backUp("backup.tar");
  await site.restore("backup.tar", "first", backupMs + 5_000);
  await site.restore("backup.tar", "second", backupMs + 9_000);
  const epochs: number[] = [];
  for (const name of ["first", "second"]) {
    const store = await openRestored(t, join(site.folder, name));
    const assignment = await findAssignment(store.db, "dev-1");
    assert.equal(assignment?.generation.n, 1);
    assert.equal(assignment?.variant?.name, "a");
    assert.equal((await pendingOutbox(store.db, 10)).at(-1)?.subject, "dev-1");
    assert.equal((await claimToken(store.db, { hash: "h", usedBy: "x", nowMs: 1 })).claimed, false);
    assert.equal((await listAudit(store.db, { limit: 1 }))[0]?.action, "restore");
    epochs.push(assignment?.generation.epoch ?? 0);
  }
  assert.deepEqual(epochs, [backupMs / 1000 + 5, backupMs / 1000 + 9]);
});

test("a clock that is behind the backup still starts a later epoch", async (t) => {
  const site = await startSite(t);
  await site.backUp("backup");
  await site.restore("backup", "restored", 0);
  const store = await openRestored(t, join(site.folder, "restored"));
  assert.deepEqual((await findAssignment(store.db, "dev-1"))?.generation, { epoch: 2, n: 1 });
});

test("a damaged blob, database or key, a missing file and a torn tar are refused and leave nothing", async (t) => {
  const site = await startSite(t);
  const [digest] = site.digests;
  assert.ok(digest !== undefined);
  const hexDigits = digest.slice("sha256:".length);
  const blob = join("blobs/sha256", hexDigits.slice(0, 2), hexDigits);
  const breakages: [string, (backup: string) => Promise<void>, string][] = [
    ["blob", (backup) => writeFile(join(backup, blob), "changed"), "backup.mismatch"],
    ["database", (backup) => writeFile(join(backup, "coordinator.db"), "changed"), "backup.mismatch"],
    ["key", (backup) => writeFile(join(backup, "ca/authority.key"), "changed"), "backup.mismatch"],
    ["lost-blob", (backup) => rm(join(backup, blob)), "backup.incomplete"],
    ["lost-key", (backup) => rm(join(backup, "ca/authority.key")), "backup.incomplete"],
    ["unlisted", (backup) => writeFile(join(backup, "ca/other.key"), "planted"), "backup.mismatch"],
    ["no-manifest", (backup) => rm(join(backup, "backup.json")), "backup.unreadable"],
    ["torn.tar", async (backup) => truncate(backup, (await stat(backup)).size - 4_000), "backup."],
    ["gone", (backup) => rm(backup, { recursive: true }), "backup.missing"],
  ];
  for (const [name, breakIt, code] of breakages) {
    await site.backUp(name);
    await breakIt(join(site.folder, name));
    await assert.rejects(
      site.restore(name, "restored"),
      (error) => error instanceof Error && "code" in error && String(error.code).startsWith(code),
      name,
    );
    assert.ok(!(await readdir(site.folder)).some((entry) => entry.startsWith("restored")), name);
  }
});

test("a backup that lists a file outside the data folder writes nothing there", async (t) => {
  const site = await startSite(t);
  const planted = Buffer.from("planted");
  const path = "../planted";
  const manifest = {
    schemaVersion: 1,
    createdAtMs: 1,
    epoch: 1,
    devices: 0,
    files: [{ path, sizeBytes: planted.length, digest: digestOfBytes(planted) }],
    blobs: { count: 0, totalBytes: 0 },
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  const tar = await packTar([
    { header: { name: "backup.json", size: manifestBytes.length }, body: manifestBytes },
    { header: { name: path, size: planted.length }, body: planted },
  ]);
  await writeFile(join(site.folder, "forged.tar"), tar);
  await assert.rejects(site.restore("forged.tar", "restored"), (error) => hasCode(error, "backup.mismatch"));
  assert.deepEqual((await readdir(site.folder)).sort(), ["data", "forged.tar"]);
});

test("a blob that the disk damaged ends the backup with its name, and nothing is left of it", async (t) => {
  const site = await startSite(t);
  const [digest] = site.digests;
  assert.ok(digest !== undefined);
  const hexDigits = digest.slice("sha256:".length);
  await writeFile(join(site.data, "blobs/sha256", hexDigits.slice(0, 2), hexDigits), "rot");
  for (const name of ["backup.tar", "backup"]) {
    await assert.rejects(site.backUp(name), (error) => hasCode(error, "blob.corrupt"));
  }
  assert.deepEqual(await readdir(site.folder), ["data"]);
});

test("a backup overwrites no other, and a restore no coordinator", async (t) => {
  const site = await startSite(t);
  await site.backUp("backup.tar");
  await assert.rejects(site.backUp("backup.tar"), (error) => hasCode(error, "backup.exists"));
  await assert.rejects(site.restore("backup.tar", "data"), (error) => hasCode(error, "restore.not-empty"));
});
