/** A coordinator lost and restored while its agents and its builder run on: steps of end-to-end.test.ts. */
import { execFileSync } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startRollout, watchRollout } from "@espalier/cli/rollouts";
import { type Binaries, checkoutFolder } from "@espalier/cli/up/binaries";
import { ManagedProcess } from "@espalier/cli/up/managed-process";
import type { Stack } from "@espalier/cli/up/stack";
import { CoordinatorEndpoints } from "@espalier/shared/contracts/context";
import { RolloutSpec, type RolloutSpecInput } from "@espalier/shared/contracts/rollout-spec";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";

/** Runs `espalier` as an operator does and gives what it printed. */
export function espalier(binaries: Binaries, args: string[]): string {
  const main = join(checkoutFolder, "cli/src/main.ts");
  return execFileSync(binaries.node, [main, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Follows a rollout until it moves no more. */
export async function runRollout(stack: Stack, spec: RolloutSpecInput): Promise<RolloutState> {
  const { rolloutId } = await startRollout(stack.client, RolloutSpec.parse(spec));
  let last: RolloutState | undefined;
  for await (const state of watchRollout(stack.client, rolloutId)) {
    last = state;
    if (state.phase === "paused") break;
  }
  if (last === undefined) throw new Error("the coordinator told no state");
  return last;
}

/** Ends the coordinator and its broker, and loses its data folder. */
export async function loseCoordinator({ endpoints, contextPath }: Stack): Promise<void> {
  process.kill(endpoints.pid, "SIGTERM");
  while (isAlive(endpoints.pid)) await sleep(20);
  await rm(dirname(contextPath), { recursive: true });
}

/** Starts a coordinator on a data folder, as `espalier up` does, and waits until it is ready. */
export async function startCoordinator(binaries: Binaries, folder: string): Promise<ManagedProcess> {
  const coordinator = new ManagedProcess(
    {
      name: "coordinator",
      file: binaries.node,
      args: [join(checkoutFolder, "coordinator/src/main.ts"), "--data", folder, "--nats-server", binaries.natsServer],
      logPath: `${folder}.restored.log`,
    },
    (reason) => process.stderr.write(`the restored coordinator ended: ${reason}\n`),
  );
  await coordinator.ready(async () => {
    const text = await readFile(join(folder, "endpoints.json"), "utf8").catch(() => undefined);
    return text === undefined ? undefined : CoordinatorEndpoints.parse(JSON.parse(text));
  }, 60_000);
  return coordinator;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
