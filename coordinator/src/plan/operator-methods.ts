import { EspalierError } from "@espalier/shared/errors";
import type { PlanEvent } from "@espalier/shared/generated/espalier/v1/PlanEvent";
import { toDocument } from "@espalier/shared/grpc";
import type { Builds } from "../builds/builds.ts";
import { kitFormats } from "../builds/weight-formats.ts";
import type { PlanMethods } from "../grpc/operator.ts";
import { createMessageQueue } from "../grpc/session/message-queue.ts";
import type { StoredJob } from "../store/jobs.ts";
import type { Store } from "../store/open.ts";
import { defaultCandidates } from "./decide/candidate-grid.ts";
import type { Planner } from "./planner.ts";
import { resolveSpec } from "./resolve-spec.ts";

/** How much of the whole the kit and the sensitivity job are, for the progress shown (ours, rough). */
const kitShare = 0.1;

/** Plans without changing anything on devices. Devices that were not measured are listed as such. */
export function planMethods(parts: {
  store: Store;
  builds: Builds;
  planner: Planner;
  isOnline: (deviceId: string) => boolean;
}): PlanMethods {
  const { store, builds, planner, isOnline } = parts;

  async function work(json: string, signal: AbortSignal, tell: (event: PlanEvent) => void): Promise<void> {
    const resolved = await resolveSpec(store.db, JSON.parse(json));
    const candidates = resolved.spec.candidates ?? defaultCandidates();
    const telling = (what: string, from: number, share: number) => (job: StoredJob) =>
      tell({
        message: `${what}: ${[job.state, job.stage].filter(Boolean).join(", ")}`,
        fraction: from + share * job.fraction,
      });
    const kit = await builds.ensureKit(resolved.settings.model, kitFormats(candidates), {
      signal,
      onProgress: telling("measurement kit", 0, kitShare),
    });
    const sensitivity = await builds.ensureSensitivity(resolved.settings, candidates, {
      signal,
      onProgress: telling("sensitivity", kitShare, 1 - kitShare),
    });
    const plan = await planner.plan({ resolved, kit, sensitivity, isOnline });
    tell({ message: "planned", fraction: 1, plan: toDocument("Plan", plan) });
  }

  return {
    async *plan({ spec }, { signal }) {
      if (spec === null) throw new EspalierError("rollout-spec.invalid", "the request carries no rollout spec");
      const queue = createMessageQueue<PlanEvent>();
      work(spec.json, signal, (event) => queue.push(event)).then(
        () => queue.end(),
        (error: unknown) => queue.fail(error),
      );
      yield* queue;
    },
  };
}
