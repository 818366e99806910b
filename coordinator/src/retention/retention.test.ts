import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLogger } from "@espalier/shared/logging";
import { listAudit, recordAudit } from "../store/audit.ts";
import { listEvents, recordEvent } from "../store/events.ts";
import { openSqliteStore } from "../store/open.ts";
import { type KeptDays, startRetention } from "./retention.ts";

const dayMs = 86_400_000;
const nowMs = 1_000 * dayMs;

test("events and audit entries go when they are older than each is kept, however many there are; newer ones stay", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-retention-"));
  const store = await openSqliteStore(join(folder, "store.db"));
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const ages = [0, 29.9, 30.1, 89, 500];
  await store.inTransaction(async (transaction) => {
    for (const days of ages) {
      const atMs = nowMs - days * dayMs;
      await recordEvent(transaction, { atMs, kind: "device.connected", message: `${days}` });
      await recordAudit(transaction, {
        atMs,
        who: "ada",
        action: "a",
        target: `${days}`,
        outcome: "allowed",
        detail: "",
      });
    }
    for (let index = 0; index < 1_200; index++) {
      await recordEvent(transaction, { atMs: 1 + index, kind: "device.connected", message: "long ago" });
    }
  });
  const kept = async () => ({
    events: (await listEvents(store.db, { limit: 10_000 })).map(({ message }) => message),
    audit: (await listAudit(store.db, { limit: 10_000 })).map(({ target }) => target),
  });
  const keeping = async (keptDays: KeptDays) => {
    const log = createLogger("test", "silent");
    const retention = startRetention({ store, keptDays, intervalMs: dayMs, now: () => nowMs, log });
    await retention.run();
    await retention.stop();
    return kept();
  };
  const before = await kept();
  assert.deepEqual(await keeping({ events: null, audit: null }), before);
  assert.deepEqual(await keeping({ events: 30, audit: 90 }), {
    events: ["0", "29.9"],
    audit: ["0", "29.9", "30.1", "89"],
  });
});
