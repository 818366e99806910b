import { backoffDelayMs } from "@espalier/shared/backoff";
import type { Assignment } from "@espalier/shared/contracts/assignment";
import type { Logger } from "@espalier/shared/logging";
import { findAssignment } from "../store/assignments.ts";
import { findJob } from "../store/jobs.ts";
import type { Store } from "../store/open.ts";
import { type OutboxEntry, pendingOutbox, removeFromOutbox } from "../store/outbox.ts";
import type { Projection } from "./projection.ts";

/** Carries what the database owes to the broker. */
export interface OutboxSender {
  /** To be called after a transaction that enqueued; without it entries go out at the next poll. */
  wake(): void;
  /** Resolves when an attempt at everything owed at the time of the call is over. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

const pollMs = 5_000;
const pageSize = 100;
const retryBackoff = { firstMs: 100, maxMs: 10_000, factor: 2 };

/**
 * INVARIANTS
 * - An entry is removed only after the broker acknowledged it; a kill in between sends it twice, which every receiver
 *   allows (Nats-Msg-Id of the entry, generations, content addresses).
 * - One entry is sent at a time, so an older assignment can't overtake a newer one.
 * - One entry that fails holds up no other.
 */
export function startOutboxSender(parts: {
  store: Store;
  projection: Projection;
  /** After an assignment is in the bucket: vouch for it over the session. */
  onAssigned: (assignment: Assignment) => void;
  log: Logger;
}): OutboxSender {
  const { store, projection, onAssigned, log } = parts;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | null = null;
  let again = false;
  let stopped = false;

  async function send(entry: OutboxEntry): Promise<void> {
    if (entry.kind === "artifact") return projection.putArtifact(entry.subject);
    if (entry.kind === "job") {
      const stored = await findJob(store.db, entry.subject);
      if (stored !== null && stored.state !== "succeeded") await projection.publishJob(stored.job, entry.id);
      return;
    }
    const assignment = await findAssignment(store.db, entry.subject);
    if (assignment === null) return;
    await projection.putAssignment(assignment);
    onAssigned(assignment);
  }

  /** What is owed, oldest first, a page at a time. */
  async function* owed(): AsyncGenerator<OutboxEntry> {
    for (let after = ""; ; ) {
      const page = await pendingOutbox(store.db, pageSize, after);
      yield* page;
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.id;
    }
  }

  async function sendAll(): Promise<boolean> {
    let failed = false;
    for await (const entry of owed()) {
      if (stopped) return failed;
      try {
        await send(entry);
        await removeFromOutbox(store.db, entry.id);
      } catch (error) {
        failed = true;
        log.warn({ err: error, entry }, "could not send; will try again");
      }
    }
    return failed;
  }

  async function run(): Promise<void> {
    do {
      again = false;
      const failed = await sendAll().catch((error: unknown) => {
        log.error({ err: error }, "the outbox can't be read");
        return true;
      });
      failures = failed ? failures + 1 : 0;
    } while (again && !stopped);
  }

  function start(): Promise<void> {
    clearTimeout(timer);
    if (running !== null) {
      again = true;
      return running;
    }
    running = run().finally(() => {
      running = null;
      if (stopped) return;
      const delayMs = failures === 0 ? pollMs : backoffDelayMs(retryBackoff, failures, Math.random());
      timer = setTimeout(() => void start(), delayMs);
    });
    return running;
  }

  void start();
  return {
    wake: () => void start(),
    flush: start,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
