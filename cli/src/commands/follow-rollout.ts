import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { exitCodes } from "../exit-codes.ts";
import { BuildPace } from "../output/build-pace.ts";
import { startLiveView } from "../output/live.ts";
import { renderOne } from "../output/print.ts";
import { renderRollout, rolloutLine } from "../output/rollout.ts";
import { watchRollout } from "../rollouts.ts";
import type { GlobalOptions } from "../session.ts";

const redrawIntervalMs = 1_000;
/** More would leave no room for waves and gates. */
const maxLiveDevices = 20;

/**
 * Follows a rollout until it ends or pauses: the whole picture in place on a terminal, a line for each change on stderr
 * elsewhere, and then the picture on stdout. Sets the exit code of a rollout that did not complete.
 */
export async function followRollout(client: OperatorClient, rollout: string, { output }: GlobalOptions): Promise<void> {
  const inPlace = process.stdout.isTTY && (output === "table" || output === "wide");
  const last = inPlace ? await followInPlace(client, rollout, output === "wide") : await followByLine(client, rollout);
  if (last === undefined) return;
  if (!inPlace) {
    const showing = { name: (state: RolloutState) => state.spec.name, text: renderRollout };
    process.stdout.write(renderOne(last, showing, output));
  }
  if (last.phase !== "complete") process.exitCode = exitCodes.incomplete.code;
}

async function followInPlace(client: OperatorClient, rollout: string, wide: boolean) {
  const view = startLiveView();
  const pace = new BuildPace();
  let last: RolloutState | undefined;
  const redraw = () => {
    if (last !== undefined) view.show(renderRollout(last, { wide, maxDevices: maxLiveDevices, pace }));
  };
  // Between two changes, too: ages and times left move on.
  const timer = setInterval(redraw, redrawIntervalMs);
  try {
    for await (const state of untilItStops(client, rollout)) {
      last = state;
      pace.observe(state.builds, Date.now());
      redraw();
    }
  } finally {
    clearInterval(timer);
    view.end();
  }
  return last;
}

async function followByLine(client: OperatorClient, rollout: string) {
  let last: RolloutState | undefined;
  let lastLine = "";
  for await (const state of untilItStops(client, rollout)) {
    last = state;
    const line = rolloutLine(state);
    if (line !== lastLine) process.stderr.write(`${line}\n`);
    lastLine = line;
  }
  return last;
}

/** A paused rollout waits for the one who watches. */
async function* untilItStops(client: OperatorClient, rollout: string): AsyncGenerator<RolloutState> {
  for await (const state of watchRollout(client, rollout)) {
    yield state;
    if (state.phase === "paused") return;
  }
}
