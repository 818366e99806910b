import { setTimeout } from "node:timers/promises";
import { Assignment } from "@espalier/shared/contracts/assignment";
import { assignmentSubject } from "@espalier/shared/device-permissions";
import { messageOf } from "@espalier/shared/errors";
import { assignmentBucket } from "@espalier/shared/nats-names";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";

export interface AssignmentWatchDeps {
  readonly connection: NatsConnection;
  readonly deviceId: string;
  readonly onAssignment: (assignment: Assignment) => Promise<void>;
  readonly log: { warn(fields: object, message: string): void };
}

/** A missed message (broker restarted, projection rebuilt) is made up for within this time. */
const pollMs = 30_000;

/**
 * Follows the device's own key: a plain subscription hears each put at once; a direct get of the key catches up at
 * start, after each reconnect and every 30 s. Repeats are the receiver's to ignore. Never rejects.
 */
export async function watchAssignment(deps: AssignmentWatchDeps, signal: AbortSignal): Promise<void> {
  const { connection, deviceId, log } = deps;
  const subject = assignmentSubject(deviceId);
  const manager = await jetstreamManager(connection, { checkAPI: false });

  const take = async (bytes: Uint8Array): Promise<void> => {
    if (bytes.length === 0) return;
    try {
      const assignment = Assignment.parse(JSON.parse(new TextDecoder().decode(bytes)));
      if (assignment.deviceId !== deviceId) throw new Error(`it is for device ${assignment.deviceId}`);
      await deps.onAssignment(assignment);
    } catch (error) {
      log.warn({ subject, error: messageOf(error) }, "assignment refused");
    }
  };
  const catchUp = async (): Promise<void> => {
    try {
      const message = await manager.direct.getMessage(`KV_${assignmentBucket}`, { last_by_subj: subject });
      if (message !== null) await take(message.data);
    } catch (error) {
      if (!signal.aborted) log.warn({ subject, error: messageOf(error) }, "assignment could not be read; trying again");
    }
  };

  const subscription = connection.subscribe(subject);
  signal.addEventListener("abort", () => subscription.unsubscribe(), { once: true });
  const following = (async () => {
    for await (const message of subscription) await take(message.data);
  })();
  const reconnecting = (async () => {
    for await (const { type } of connection.status()) {
      if (signal.aborted) return;
      if (type === "reconnect") await catchUp();
    }
  })();
  reconnecting.catch(() => undefined);
  while (!signal.aborted) {
    await catchUp();
    await setTimeout(pollMs, undefined, { signal }).catch(() => undefined);
  }
  await following.catch(() => undefined);
}
