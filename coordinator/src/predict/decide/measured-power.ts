import type { Measurements } from "@espalier/shared/contracts/profile";

export interface MeasuredPower {
  /** Median over the kit's graphs. */
  watts: number;
  /** Of the graph that is furthest from it, as a share of it. */
  relativeSpread: number;
}

/** What a device's processors took while they ran the kit; null where no graph has it. */
export function measuredPower({ kit }: Pick<Measurements, "kit">): MeasuredPower | null {
  let watts: number[] | null = null;
  for (const timing of kit?.timings ?? []) {
    if (timing.watts === null) continue;
    watts ??= [];
    watts.push(timing.watts);
  }
  if (watts === null) return null;
  watts.sort((a, b) => a - b);
  const [least, median, most] = [watts[0] ?? 0, watts[watts.length >> 1] ?? 0, watts.at(-1) ?? 0];
  if (median === 0) return null;
  return { watts: median, relativeSpread: Math.max(most - median, median - least) / median };
}
