import { digestOfJson } from "@espalier/shared/contracts/digest";
import type { KitTiming, Sample } from "@espalier/shared/contracts/profile";
import type { PlanDevice, PlanRequest } from "../../coordinator/src/plan/decide/make-plan.ts";
import { syntheticRequest } from "../../coordinator/src/plan/testing/synthetic-request.ts";
import {
  ordinaryCosts,
  syntheticKit,
  syntheticProfile,
} from "../../coordinator/src/predict/testing/synthetic-device.ts";

const kit = syntheticKit();
const kitDigest = digestOfJson(kit);
const mebi = 2 ** 20;

/** Repeatable numbers in [0, 1) (Numerical Recipes' generator). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Devices of 40 kinds, each with timings of its own: no two profiles are equal. */
export function syntheticFleet(devices: number, seed = 1): PlanDevice[] {
  const next = random(seed);
  const kinds = Array.from({ length: 40 }, (_, kind) => ({
    cpuModel: `Kind ${kind}`,
    slowness: 0.5 + 3 * next(),
    memoryBytes: next() < 0.3 ? null : Math.round((280 + 300 * next()) * mebi),
  }));
  return Array.from({ length: devices }, (_, index) => {
    const kind = kinds[index % kinds.length];
    if (kind === undefined) throw new RangeError("there are no kinds of devices");
    const { cpuModel, slowness, memoryBytes } = kind;
    const own = slowness * (0.9 + 0.2 * next());
    const costs = {
      ...ordinaryCosts,
      fixedMs: own * ordinaryCosts.fixedMs,
      layerMs: own * ordinaryCosts.layerMs,
      ffnColumnMs: own * ordinaryCosts.ffnColumnMs,
    };
    const deviceId = `device-${index}`;
    const profile = syntheticProfile({ deviceId, kit, kitDigest, costs, cpuModel, memoryBytes });
    // As agents time a kit: every graph twice, which differ a little.
    const first = profile.measurements.kit?.timings ?? [];
    const timings = [...first, ...first.map((timing) => slowed(timing, 0.97 + 0.06 * next()))];
    return {
      deviceId,
      name: deviceId,
      labels: { kind: String(index % kinds.length) },
      profile: { ...profile, measurements: { ...profile.measurements, kit: { kitDigest, timings } } },
      missing: "",
      active: null,
    };
  });
}

function slowed(timing: KitTiming, by: number): KitTiming {
  const times = (ms: Sample): Sample => ({ ...ms, median: ms.median * by, p90: ms.p90 * by });
  return {
    ...timing,
    decode: timing.decode.map(({ contextTokens, ms }) => ({ contextTokens, ms: times(ms) })),
    prefill: timing.prefill.map(({ promptTokens, ms }) => ({ promptTokens, ms: times(ms) })),
  };
}

export function planRequest(devices: readonly PlanDevice[]): PlanRequest {
  return syntheticRequest(devices, { limits: { tpotP90Ms: 40, ttftP90Ms: 400 } });
}
