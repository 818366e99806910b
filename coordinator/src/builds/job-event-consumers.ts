import { setTimeout as sleep } from "node:timers/promises";
import { backoffDelayMs, patientBackoff } from "@espalier/shared/backoff";
import { BuildJob } from "@espalier/shared/contracts/build";
import type { Logger } from "@espalier/shared/logging";
import { coordinatorConsumer, streams } from "@espalier/shared/nats-names";
import { type ConsumerMessages, type JsMsg, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import type { JobEvents } from "./ingest-job-events.ts";

/** The broker's advisory that a message was delivered as often as allowed. */
const MaxDeliveries = z.object({ stream: z.literal(streams.buildJobs), stream_seq: z.int(), deliveries: z.int() });

/** Taking in a large artifact may take longer than the acknowledgement may wait. */
const keepAliveMs = 10_000;
const redeliverAfterMs = 2_000;

export interface JobEventConsumers {
  /** Whether everything on the broker has been read and applied. */
  hasReadAll(): Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * Reads build events, dead letters and advisories by the coordinator's durable consumers, each message until it was
 * applied. A consumer that ends (broker restarted, stream recreated) is opened again.
 */
export function startJobEventConsumers(parts: {
  connection: NatsConnection;
  events: JobEvents;
  log: Logger;
}): JobEventConsumers {
  const { connection, events, log } = parts;
  const client = jetstream(connection);
  const ending = new AbortController();
  const open = new Set<ConsumerMessages>();

  async function apply(message: JsMsg, handle: (value: unknown) => Promise<void>): Promise<void> {
    const keepAlive = setInterval(() => message.working(), keepAliveMs);
    try {
      await handle(readJson(message));
      message.ack();
    } catch (error) {
      log.warn({ err: error, subject: message.subject }, "a build message could not be applied; it comes again");
      message.nak(redeliverAfterMs);
    } finally {
      clearInterval(keepAlive);
    }
  }

  async function advisory(value: unknown): Promise<void> {
    const parsed = MaxDeliveries.safeParse(value);
    if (!parsed.success) return;
    const { stream_seq: sequence, deliveries } = parsed.data;
    const manager = await jetstreamManager(connection);
    const stored = await manager.streams.getMessage(streams.buildJobs, { seq: sequence }).catch(() => null);
    const job = BuildJob.safeParse(stored?.json());
    if (!job.success) return;
    await events.dead({ job: job.data, reason: "no builder finished it or said why", attempts: deliveries });
    await manager.streams.deleteMessage(streams.buildJobs, sequence);
  }

  async function read(stream: string, handle: (value: unknown) => Promise<void>): Promise<void> {
    for (let attempt = 1; !ending.signal.aborted; attempt++) {
      try {
        const consumer = await client.consumers.get(stream, coordinatorConsumer);
        const messages = await consumer.consume({ max_messages: 64 });
        open.add(messages);
        attempt = 0;
        for await (const message of messages) await apply(message, handle);
        open.delete(messages);
      } catch (error) {
        if (ending.signal.aborted) return;
        log.warn({ err: error, stream }, "reading build messages was interrupted");
      }
      await sleep(backoffDelayMs(patientBackoff, Math.max(1, attempt), Math.random()), undefined, {
        signal: ending.signal,
      }).catch(() => {});
    }
  }

  const readers = [
    read(streams.buildEvents, (value) => events.progress(value)),
    read(streams.buildDead, (value) => events.dead(value)),
    read(streams.buildAdvisories, advisory),
  ];
  return {
    async hasReadAll() {
      const manager = await jetstreamManager(connection);
      const infos = await Promise.all(
        [streams.buildEvents, streams.buildDead].map((stream) => manager.consumers.info(stream, coordinatorConsumer)),
      );
      return infos.every(({ num_pending, num_ack_pending }) => num_pending === 0 && num_ack_pending === 0);
    },
    async stop() {
      ending.abort();
      await Promise.all([...open].map((messages) => messages.close()));
      await Promise.all(readers);
    },
  };
}

/** Undefined for what is no JSON; the contracts refuse it further on. */
function readJson(message: JsMsg): unknown {
  try {
    return message.json();
  } catch {
    return undefined;
  }
}
