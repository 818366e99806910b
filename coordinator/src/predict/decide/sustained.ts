import type { Measurements } from "@espalier/shared/contracts/profile";

/** How many times slower a device ended than it began when it was kept busy; 1 where it wasn't, or didn't get slower. */
export function sustainedSlowdown({ kit }: Pick<Measurements, "kit">): number {
  let slowdown = 1;
  for (const { sustained } of kit?.timings ?? []) {
    if (sustained !== undefined) slowdown = Math.max(slowdown, sustained.last.median / sustained.first.median);
  }
  return slowdown;
}
