import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError } from "@espalier/shared/errors";
import type { RolloutResponse } from "@espalier/shared/generated/espalier/v1/RolloutResponse";
import { toDocument } from "@espalier/shared/grpc";
import type { RolloutMethods } from "../grpc/operator.ts";
import { createMessageQueue } from "../grpc/session/message-queue.ts";
import type { Planner } from "../plan/planner.ts";
import { resolveSpec } from "../plan/resolve-spec.ts";
import type { Store } from "../store/open.ts";
import { findRollout, listRollouts } from "../store/rollouts.ts";
import type { ControlAction } from "./decide/control.ts";
import { finalPhases } from "./decide/decide.ts";
import type { RolloutEngine } from "./engine.ts";
import { rehearse } from "./new-rollout.ts";
import { requirePlanStanding } from "./require-plan-standing.ts";

const actions: Readonly<Record<string, ControlAction>> = {
  ACTION_PAUSE: "pause",
  ACTION_RESUME: "resume",
  ACTION_ABORT: "abort",
};

/** The operator's hand on rollouts. */
export function rolloutMethods(parts: {
  store: Store;
  engine: RolloutEngine;
  planner: Pick<Planner, "checkIndex">;
  isOnline: (deviceId: string) => boolean;
  now: () => number;
}): RolloutMethods {
  const { store, engine, now } = parts;

  async function find(rollout: string): Promise<RolloutState> {
    const state = await findRollout(store.db, rollout);
    if (state !== null) return state;
    throw new EspalierError("rollout.unknown", `there is no rollout ${rollout}`, {
      fields: { rollout },
      remedy: "see `espalier rollout list`",
    });
  }

  return {
    async startRollout({ spec, dryRun, checkIndex }) {
      if (spec === null) throw new EspalierError("rollout-spec.invalid", "the request carries no rollout spec");
      const input = JSON.parse(spec.json);
      const resolved = await resolveSpec(store.db, input);
      if (checkIndex !== "") await requirePlanStanding(parts, resolved, checkIndex);
      if (!dryRun) return respond(await engine.start(input));
      return respond(await rehearse(store.db, resolved.spec, now()));
    },
    getRollout: async ({ rollout }) => respond(await find(rollout)),
    async listRollouts() {
      return { states: (await listRollouts(store.db)).map((state) => toDocument("RolloutState", state)) };
    },
    async *watchRollout({ rollout }, { signal }) {
      const queue = createMessageQueue<RolloutState>();
      const { rolloutId } = await find(rollout);
      // Listening begins before the state is read, so that no change falls between.
      const stop = engine.onChanged((state) => {
        if (state.rolloutId === rolloutId) queue.push(state);
      });
      const end = () => queue.end();
      signal.addEventListener("abort", end);
      try {
        const current = await find(rolloutId);
        yield respond(current);
        if (isFinal(current)) return;
        for await (const state of queue) {
          yield respond(state);
          if (isFinal(state)) return;
        }
      } finally {
        stop();
        signal.removeEventListener("abort", end);
      }
    },
    async controlRollout({ rollout, action }, { operator }) {
      const word = actions[action];
      if (word === undefined)
        throw new EspalierError("rollout-action.invalid", `${action} is no action: pause, resume or abort`);
      return respond(await engine.control((await find(rollout)).rolloutId, word, operator));
    },
    undoRollout: async ({ rollout }) => respond(await engine.undo(rollout)),
  };
}

function isFinal({ phase }: RolloutState): boolean {
  return (finalPhases as readonly string[]).includes(phase);
}

function respond(state: RolloutState): RolloutResponse {
  return { state: toDocument("RolloutState", state) };
}
