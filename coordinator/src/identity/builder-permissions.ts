import { buildConsumer, inboxPrefix, objectBuckets, streams, subjects } from "@espalier/shared/nats-names";

/** Builders share one user; its reply subjects are `_IN.builder.>`. */
export const builderId = "builder";

/**
 * What builders may do on the broker: take jobs from their consumer, tell progress, read `inputs`, fill `inbox`.
 * They can neither change streams nor see devices.
 */
export function builderPermissions(): { publish: string[]; subscribe: string[] } {
  const jobs = streams.buildJobs;
  const consumer = `${jobs}.${buildConsumer}`;
  const inbox = `OBJ_${objectBuckets.inbox}`;
  return {
    publish: [
      "$JS.API.INFO",
      `$JS.API.STREAM.INFO.${jobs}`,
      `$JS.API.CONSUMER.INFO.${consumer}`,
      `$JS.API.CONSUMER.MSG.NEXT.${consumer}`,
      // The two forms of acknowledgement subjects, without and with domain and account.
      `$JS.ACK.${consumer}.>`,
      `$JS.ACK.*.*.${consumer}.>`,
      subjects.allBuildEvents,
      subjects.allBuildDead,
      ...readingOf(`OBJ_${objectBuckets.inputs}`),
      ...readingOf(inbox),
      `$O.${objectBuckets.inbox}.>`,
      `$JS.API.STREAM.PURGE.${inbox}`,
    ],
    subscribe: [`${inboxPrefix(builderId)}.>`],
  };
}

function readingOf(stream: string): string[] {
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.FC.${stream}.>`,
  ];
}
