import { EspalierError } from "@espalier/shared/errors";
import type { PlanEvent } from "@espalier/shared/generated/espalier/v1/PlanEvent";
import { toDocument } from "@espalier/shared/grpc";
import type { Builds } from "../builds/builds.ts";
import { kitFormats } from "../builds/weight-formats.ts";
import type { DeviceMeasurer } from "../devices/measure-device.ts";
import type { PlanMethods } from "../grpc/operator.ts";
import { createMessageQueue } from "../grpc/session/message-queue.ts";
import type { StoredJob } from "../store/jobs.ts";
import type { Store } from "../store/open.ts";
import { candidatesOf } from "./decide/candidate-grid.ts";
import { measureSelected } from "./measure-selected.ts";
import type { Planner } from "./planner.ts";
import { resolveSpec } from "./resolve-spec.ts";
import type { WhatIf } from "./what-if.ts";

/** How much of the whole each part is, for the progress shown (ours, rough). */
const shares = { kit: 0.05, measuring: 0.45, sensitivity: 0.5 };

/**
 * Plans without changing what devices run. Kit, measuring and sensitivity job go one after another: on one machine a
 * builder at work would spoil what the devices measure. Devices that can't be measured are listed as such.
 */
export function planMethods(parts: {
  store: Store;
  builds: Builds;
  planner: Planner;
  measurer: Pick<DeviceMeasurer, "withKit">;
  isOnline: (deviceId: string) => boolean;
  now: () => number;
}): PlanMethods {
  const { store, builds, planner, isOnline } = parts;

  async function work(
    { json, whatIf }: { json: string; whatIf: readonly WhatIf[] },
    signal: AbortSignal,
    tell: (event: PlanEvent) => void,
  ): Promise<void> {
    const resolved = await resolveSpec(store.db, JSON.parse(json));
    const candidates = candidatesOf(resolved.spec);
    const telling = (what: string, from: number, share: number) => (job: StoredJob) =>
      tell({
        message: `${what}: ${[job.state, job.stage].filter(Boolean).join(", ")}`,
        fraction: from + share * job.fraction,
      });
    const kit = await builds.ensureKit(resolved.settings.model, kitFormats(candidates), {
      signal,
      onProgress: telling("measurement kit", 0, shares.kit),
    });
    await measureSelected(parts, {
      spec: resolved.spec,
      kit,
      signal,
      tell: (message, fraction) =>
        tell({ message: `measuring ${message}`, fraction: shares.kit + shares.measuring * fraction }),
    });
    const sensitivity = await builds.ensureSensitivity(resolved.settings, candidates, {
      signal,
      onProgress: telling("sensitivity", shares.kit + shares.measuring, shares.sensitivity),
    });
    const plan = await planner.plan({ resolved, kit, sensitivity, isOnline, whatIf });
    tell({ message: "planned", fraction: 1, plan: toDocument("Plan", plan) });
  }

  return {
    async *plan({ spec, whatIf }, { signal }) {
      if (spec === null) throw new EspalierError("rollout-spec.invalid", "the request carries no rollout spec");
      const queue = createMessageQueue<PlanEvent>();
      work({ json: spec.json, whatIf }, signal, (event) => queue.push(event)).then(
        () => queue.end(),
        (error: unknown) => queue.fail(error),
      );
      yield* queue;
    },
  };
}
