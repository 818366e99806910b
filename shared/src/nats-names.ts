import type { Digest } from "./contracts/digest.ts";

/** Every name on the broker. The coordinator creates them (coordinator/src/nats/topology.ts); nobody else does. */
export const streams = {
  /** Work queue of BuildJob. */
  buildJobs: "BUILD_JOBS",
  /** BuildProgress of all jobs. */
  buildEvents: "BUILD_EVENTS",
  /** Jobs that no builder will try again, with the reason: `{ job, reason, attempts }`. */
  buildDead: "BUILD_DEAD",
  /** The broker's own word that a job was delivered as often as allowed and never acknowledged. */
  buildAdvisories: "BUILD_ADVISORIES",
  /** The last TelemetrySnapshot of each device. */
  telemetry: "TELEMETRY",
} as const;

/** The durable consumer that all builders share. */
export const buildConsumer = "builders";

/** The coordinator's durable consumer on BUILD_EVENTS, BUILD_DEAD and BUILD_ADVISORIES. */
export const coordinatorConsumer = "coordinator";

/** KV bucket: device id -> Assignment. */
export const assignmentBucket = "assignments";

/** Object stores. Each object is one chunk, manifest, tree, kit or report, named by the hex digits of its SHA-256. */
export const objectBuckets = {
  /** Models and datasets for builders. */
  inputs: "inputs",
  /** What builders hand in, until the coordinator has it in the blob store. */
  inbox: "inbox",
  /** What devices may read: variants and kits. */
  artifacts: "artifacts",
} as const;

export const subjects = {
  buildJob: (jobId: Digest) => `espalier.build.job.${hex(jobId)}`,
  buildEvent: (jobId: Digest) => `espalier.build.event.${hex(jobId)}`,
  buildDead: (jobId: Digest) => `espalier.build.dead.${hex(jobId)}`,
  telemetry: (deviceId: string) => `espalier.telemetry.${deviceId}`,
  allBuildJobs: "espalier.build.job.*",
  allBuildEvents: "espalier.build.event.*",
  allBuildDead: "espalier.build.dead.*",
  buildAdvisories: `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${streams.buildJobs}.*`,
  allTelemetry: "espalier.telemetry.*",
} as const;

/** The object name of a blob. */
export function hex(digest: Digest): string {
  return digest.slice("sha256:".length);
}

/** A connection's reply subjects; permissions allow only its own. */
export const inboxPrefix = (id: string) => `_IN.${id}`;
