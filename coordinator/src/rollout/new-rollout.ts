import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError } from "@espalier/shared/errors";
import { selectDevices } from "../plan/planner.ts";
import type { Queries } from "../store/database.ts";
import { listDevices } from "../store/devices.ts";
import { findRollout } from "../store/rollouts.ts";
import { movingPhases } from "./decide/decide.ts";

/** A rollout that nothing was decided for yet. */
export function newRollout(spec: RolloutSpec, rolloutId: string, nowMs: number): RolloutState {
  return {
    schemaVersion: 1,
    rolloutId,
    spec,
    phase: "planning",
    reason: "",
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    plan: null,
    builds: [],
    waves: [],
    devices: [],
  };
}

/** @throws {EspalierError} `rollout.exists` when one of that name is under way */
export async function requireNameFree(db: Queries, name: string): Promise<void> {
  const same = await findRollout(db, name);
  if (same === null || ![...movingPhases, "paused"].includes(same.phase)) return;
  throw new EspalierError("rollout.exists", `a rollout named ${name} is ${same.phase}`, {
    fields: { rolloutId: same.rolloutId },
    remedy: "abort it or choose another name",
  });
}

/**
 * The rollout that a valid specification would start, with the devices it selects today.
 * @throws {EspalierError} `rollout.exists`, `rollout-spec.invalid` for a selector that selects nothing
 */
export async function rehearse(db: Queries, spec: RolloutSpec, nowMs: number): Promise<RolloutState> {
  await requireNameFree(db, spec.name);
  const devices = selectDevices(await listDevices(db), spec);
  if (devices.length === 0) {
    const why = spec.selector === "" ? "no device is enrolled" : `no device matches "${spec.selector}"`;
    throw new EspalierError("rollout-spec.invalid", `selector: ${why}`, {
      fields: { selector: spec.selector },
      remedy: "see `espalier device list`; a device joins with `espalier token create`",
    });
  }
  return {
    ...newRollout(spec, "", nowMs),
    devices: devices.map(({ id, name, activeArtifactDigest }) => ({
      deviceId: id,
      name,
      wave: 0,
      phase: "pending",
      rung: 0,
      artifactDigest: null,
      previousArtifactDigest: activeArtifactDigest,
      assignedAtMs: null,
      progress: "",
      reason: "",
      proof: null,
    })),
  };
}
