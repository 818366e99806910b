import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { listAssignments } from "./assignments.ts";
import { listAudit } from "./audit.ts";
import { listDevices } from "./devices.ts";
import { listEvents } from "./events.ts";
import { listJobs } from "./jobs.ts";
import { listKits } from "./kits.ts";
import { readEpoch } from "./meta.ts";
import { openSqliteStore, type Store } from "./open.ts";
import { pendingOutbox } from "./outbox.ts";
import { listProfiles } from "./profiles.ts";
import { listRollouts } from "./rollouts.ts";
import { findSensitivity } from "./sensitivity.ts";
import { claimToken } from "./tokens.ts";
import { listTrees } from "./trees.ts";
import { listVariants } from "./variants.ts";

const dumps = fileURLToPath(new URL("migrations/testing", import.meta.url));

/** The tables of a database with their columns and indexes, whatever wrote them. */
function schemaOf(path: string): Record<string, unknown> {
  const database = new DatabaseSync(path);
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
    return Object.fromEntries(
      tables.map(({ name }) => {
        const about = (pragma: string) => database.prepare(`PRAGMA ${pragma}("${name}")`).all();
        // Columns that a migration adds come last; their order means nothing to queries by name.
        const columns = about("table_info").map(({ cid: _position, ...column }) => column);
        columns.sort((a, b) => String(a["name"]).localeCompare(String(b["name"])));
        return [String(name), { columns, indexes: about("index_list"), references: about("foreign_key_list") }];
      }),
    );
  } finally {
    database.close();
  }
}

async function openDump(t: TestContext, name: string): Promise<{ store: Store; path: string; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-migrate-"));
  const path = join(folder, "coordinator.db");
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  database.exec(await readFile(join(dumps, name), "utf8"));
  database.close();
  const store = await openSqliteStore(path);
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  return { store, path, folder };
}

for (const name of await readdir(dumps)) {
  test(`a database at ${name} gets the schema of a new one`, async (t) => {
    const { path, folder } = await openDump(t, name);
    const freshPath = join(folder, "fresh.db");
    await (await openSqliteStore(freshPath)).close();
    assert.deepEqual(schemaOf(path), schemaOf(freshPath));
  });
}

test("every row of the first released schema is read by this version's contracts", async (t) => {
  const { store } = await openDump(t, "0001.sql");
  const { db } = store;
  const [device] = await listDevices(db);
  assert.deepEqual([device?.name, device?.labels, device?.status.state], ["big", { tier: "large" }, "active"]);
  const [assignment] = await listAssignments(db);
  assert.equal(assignment?.variant?.artifactDigest, device?.activeArtifactDigest);
  const [variant] = await listVariants(db);
  assert.equal(variant?.artifactDigest, device?.activeArtifactDigest);
  assert.equal(variant?.wireBytes, null);
  const [rollout] = await listRollouts(db);
  assert.deepEqual([rollout?.phase, rollout?.devices[0]?.phase], ["complete", "active"]);
  assert.equal((await listProfiles(db))[0]?.deviceId, device?.id);
  assert.deepEqual(
    (await listTrees(db)).map((tree) => tree.name),
    ["model"],
  );
  const jobs = await listJobs(db);
  assert.deepEqual(jobs.map(({ job }) => job.kind).sort(), ["build", "kit", "sensitivity"]);
  const sensitivity = jobs.find(({ job }) => job.kind === "sensitivity")?.job;
  assert.ok(sensitivity !== undefined);
  const report = await findSensitivity(db, { modelDigest: sensitivity.modelDigest, key: sensitivity.jobId });
  assert.equal(report?.candidates.length, 1);
  assert.equal((await listKits(db)).length, 1);
  assert.ok((await listEvents(db, { limit: 100 })).length > 0);
  assert.equal((await listAudit(db, { limit: 10 }))[0]?.action, "token.create");
  assert.ok((await pendingOutbox(db, 10)).length > 0);
  assert.equal(await readEpoch(db), 3);
  assert.deepEqual(await claimToken(db, { hash: "a-token-hash", usedBy: "d", nowMs: 1 }), {
    claimed: true,
    labels: { tier: "small" },
  });
});
