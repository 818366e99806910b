import type { DeviceProfile, Measurements } from "@espalier/shared/contracts/profile";
import { staleReason } from "./decide/stale-profile.ts";

/**
 * What is known of a device after measuring again: new parts replace old ones, parts that were not asked for stay. On
 * other hardware or under another budget nothing old holds, so nothing stays.
 */
export function mergeMeasurements(
  before: DeviceProfile | null,
  device: Parameters<typeof staleReason>[1],
  now: Measurements,
): Measurements {
  if (before === null || staleReason(before, device) !== null) return now;
  const old = before.measurements;
  const timedNow = new Set(now.variants.map(({ artifactDigest }) => artifactDigest));
  return {
    memoryBandwidthBytesPerSecond: now.memoryBandwidthBytesPerSecond ?? old.memoryBandwidthBytesPerSecond,
    diskWriteBytesPerSecond: now.diskWriteBytesPerSecond ?? old.diskWriteBytesPerSecond,
    downloadBytesPerSecond: now.downloadBytesPerSecond ?? old.downloadBytesPerSecond,
    kit: now.kit ?? old.kit,
    baseMemoryBytes: now.baseMemoryBytes ?? old.baseMemoryBytes,
    variants: [...old.variants.filter(({ artifactDigest }) => !timedNow.has(artifactDigest)), ...now.variants],
  };
}
