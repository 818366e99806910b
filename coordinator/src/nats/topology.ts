import {
  assignmentBucket,
  buildConsumer,
  coordinatorConsumer,
  objectBuckets,
  streams,
  subjects,
} from "@espalier/shared/nats-names";
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { type ObjectStore, Objm, setSha256Backend } from "@nats-io/obj";
import { type NatsConnection, nanos } from "@nats-io/transport-node";

/** Streams, consumers and buckets as ARCHITECTURE.md's table has them. */
export interface Topology {
  readonly assignments: KV;
  readonly inputs: ObjectStore;
  readonly inbox: ObjectStore;
  readonly artifacts: ObjectStore;
}

const dayMs = 86_400_000;

const streamConfigs: (Partial<StreamConfig> & { name: string })[] = [
  {
    name: streams.buildJobs,
    subjects: [subjects.allBuildJobs],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    // One message per job: a job published again while it waits is refused, which is what "already there" looks like.
    max_msgs_per_subject: 1,
    discard: DiscardPolicy.New,
    discard_new_per_subject: true,
  },
  {
    name: streams.buildEvents,
    subjects: [subjects.allBuildEvents],
    storage: StorageType.File,
    max_age: nanos(7 * dayMs),
    max_msgs_per_subject: 5_000,
  },
  {
    name: streams.buildDead,
    subjects: [subjects.allBuildDead],
    storage: StorageType.File,
    max_age: nanos(30 * dayMs),
  },
  {
    name: streams.buildAdvisories,
    subjects: [subjects.buildAdvisories],
    storage: StorageType.File,
    max_age: nanos(30 * dayMs),
  },
  // Cumulative and sent again within seconds: memory will do.
  {
    name: streams.telemetry,
    subjects: [subjects.allTelemetry],
    storage: StorageType.Memory,
    max_msgs_per_subject: 1,
    max_age: nanos(dayMs),
    max_msg_size: 64 * 1024,
  },
];

const consumerConfigs: { stream: string; config: Partial<ConsumerConfig> & { durable_name: string } }[] = [
  {
    stream: streams.buildJobs,
    config: {
      durable_name: buildConsumer,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(30_000),
      max_deliver: 4,
      max_ack_pending: 1_000,
    },
  },
  ...[streams.buildEvents, streams.buildDead, streams.buildAdvisories].map((stream) => ({
    stream,
    config: {
      durable_name: coordinatorConsumer,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(30_000),
      max_ack_pending: 256,
    },
  })),
];

/** Creates what is missing and updates what differs; repeatable at any time. */
export async function ensureTopology(connection: NatsConnection): Promise<Topology> {
  setSha256Backend("native");
  const manager = await jetstreamManager(connection);
  for (const config of streamConfigs) await ensureStream(manager, config);
  for (const { stream, config } of consumerConfigs) await manager.consumers.add(stream, config);
  const client = jetstream(connection);
  const objects = new Objm(client);
  const bucket = (name: string) => objects.create(name, { storage: StorageType.File });
  return {
    assignments: await new Kvm(client).create(assignmentBucket, { history: 1, storage: StorageType.File }),
    inputs: await bucket(objectBuckets.inputs),
    inbox: await bucket(objectBuckets.inbox),
    artifacts: await bucket(objectBuckets.artifacts),
  };
}

const streamNameInUse = 10_058;

async function ensureStream(
  manager: JetStreamManager,
  config: Partial<StreamConfig> & { name: string },
): Promise<void> {
  try {
    await manager.streams.add(config);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== streamNameInUse) throw error;
    await manager.streams.update(config.name, config);
  }
}
