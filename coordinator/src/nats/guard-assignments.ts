import { Assignment, compareGenerations } from "@espalier/shared/contracts/assignment";
import { assignmentSubject } from "@espalier/shared/device-permissions";
import type { Logger } from "@espalier/shared/logging";
import type { NatsConnection } from "@nats-io/transport-node";
import { findAssignment } from "../store/assignments.ts";
import type { Store } from "../store/open.ts";

/**
 * Watches the assignment bucket for what the coordinator didn't write. A device may name another's key as the reply
 * subject of a request, and the broker then writes the answer there: the other refuses it (it is not its own, and
 * nobody vouched for it), but its assignment is covered up until this puts it right.
 */
export function guardAssignments(parts: {
  connection: NatsConnection;
  store: Store;
  /** Writes the bucket as the database has it. */
  repair: () => void;
  log: Logger;
}): { stop(): void } {
  const { connection, store, repair, log } = parts;
  const prefix = assignmentSubject("");
  const subscription = connection.subscribe(assignmentSubject("*"));

  async function check(subject: string, text: string): Promise<void> {
    const deviceId = subject.slice(prefix.length);
    const current = await findAssignment(store.db, deviceId);
    // An empty one takes away what a device that left the fleet had.
    if (current === null ? text === "" : isOf(current, text)) return;
    log.warn({ deviceId }, "someone else wrote this device's assignment on the broker; it is put right");
    repair();
  }

  const watching = (async () => {
    for await (const message of subscription) {
      await check(message.subject, message.string()).catch((error: unknown) => {
        log.error({ err: error }, "an assignment on the broker can't be checked");
      });
    }
  })();
  watching.catch((error: unknown) => log.error({ err: error }, "assignments on the broker are no longer watched"));
  return { stop: () => subscription.unsubscribe() };
}

/** An older one of ours may still be on its way while a newer is decided. */
function isOf(current: Assignment, text: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  const written = Assignment.safeParse(value);
  return (
    written.success &&
    written.data.deviceId === current.deviceId &&
    compareGenerations(written.data.generation, current.generation) <= 0
  );
}
