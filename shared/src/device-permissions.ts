import { assignmentBucket, inboxPrefix, objectBuckets, subjects } from "./nats-names.ts";

/**
 * All that one device may do on the broker; the coordinator signs exactly this into the device's user JWT.
 * Every subject carries the device id or names a bucket that all devices may read. Assignments are read by direct get
 * and by subscription of the device's own subject, because a consumer or a message request names its key in the
 * payload, where permissions can't see it.
 */
export function devicePermissions(deviceId: string): { publish: string[]; subscribe: string[] } {
  const artifacts = `OBJ_${objectBuckets.artifacts}`;
  const chunks = `$O.${objectBuckets.artifacts}.C.*`;
  const entries = `$O.${objectBuckets.artifacts}.M.*`;
  return {
    publish: [
      subjects.telemetry(deviceId),
      `$JS.API.DIRECT.GET.KV_${assignmentBucket}.${assignmentSubject(deviceId)}`,
      `$JS.API.DIRECT.GET.${artifacts}.${entries}`,
      `$JS.API.CONSUMER.CREATE.${artifacts}.*.${chunks}`,
      `$JS.API.CONSUMER.MSG.NEXT.${artifacts}.*`,
      // Asked after a broken connection; consumers have random names and say nothing but which object they read.
      `$JS.API.CONSUMER.INFO.${artifacts}.*`,
      `$JS.API.CONSUMER.DELETE.${artifacts}.*`,
    ],
    subscribe: [`${inboxPrefix(deviceId)}.>`, assignmentSubject(deviceId)],
  };
}

/** The subject on which a device's assignment is published and stored. */
export function assignmentSubject(deviceId: string): string {
  return `$KV.${assignmentBucket}.${deviceId}`;
}
