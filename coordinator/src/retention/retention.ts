import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@espalier/shared/logging";
import type { Store } from "../store/open.ts";
import { deleteOldest, type HistoryTable } from "../store/retention.ts";

const dayMs = 86_400_000;
const rowsAtOnce = 500;

/** How many days what happened is kept; null: for ever. */
export type KeptDays = Readonly<Record<HistoryTable, number | null>>;

/**
 * Deletes events and audit entries that are older than they are kept, now and at intervals. Rollouts keep their gates and
 * devices keep their last report in rows of their own: nothing that is decided hangs on what goes here.
 */
export function startRetention(parts: {
  store: Pick<Store, "db">;
  keptDays: KeptDays;
  intervalMs: number;
  now: () => number;
  log: Logger;
}): { /** Resolves when a pass, begun now, is over. */ run(): Promise<void>; stop(): Promise<void> } {
  const { store, keptDays, intervalMs, now, log } = parts;
  const ending = new AbortController();

  async function clear(table: HistoryTable): Promise<void> {
    const days = keptDays[table];
    if (days === null) return;
    const beforeMs = now() - days * dayMs;
    let deleted = 0;
    for (let last = rowsAtOnce; last === rowsAtOnce && !ending.signal.aborted; deleted += last) {
      last = await deleteOldest(store.db, table, { beforeMs, most: rowsAtOnce });
    }
    if (deleted > 0) log.info({ table, days, deleted }, "older than it is kept: deleted");
  }

  async function run(): Promise<void> {
    for (const table of ["events", "audit"] as const) {
      await clear(table).catch((error: unknown) => log.error({ err: error, table }, "old rows can't be deleted"));
    }
  }

  async function keepOn(): Promise<void> {
    while (!ending.signal.aborted) {
      await run();
      await sleep(intervalMs, undefined, { signal: ending.signal }).catch(() => {});
    }
  }

  const going = keepOn();
  return {
    run,
    async stop() {
      ending.abort();
      await going;
    },
  };
}
