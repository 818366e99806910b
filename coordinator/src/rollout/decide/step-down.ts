import type { RolloutDevice, RolloutState } from "@espalier/shared/contracts/rollout-state";

/**
 * The device with the next variant of its ladder, after the one that it was given failed: one rung further, and only onto
 * what is built. Null at the end of the ladder. The plan's ladders hold only variants above the quality floor that keep the
 * device's limits by prediction; what they really do is up to the wave's gates.
 */
export function stepDown(device: RolloutDevice, { plan }: RolloutState, nowMs: number): RolloutDevice | null {
  const ladder = plan?.devices.find(({ deviceId }) => deviceId === device.deviceId)?.ladder ?? [];
  for (const [index, { recipeDigest, variantName }] of ladder.entries()) {
    if (index < device.rung) continue;
    const variant = plan?.frontier.find((candidate) => candidate.recipeDigest === recipeDigest);
    if (!variant?.artifactDigest) continue;
    return {
      ...device,
      phase: "assigned",
      rung: index + 1,
      artifactDigest: variant.artifactDigest,
      assignedAtMs: nowMs,
      progress: "",
      reason: `stepped down to ${variantName}, since the variant before failed: ${device.reason}`,
      proof: null,
    };
  }
  return null;
}
