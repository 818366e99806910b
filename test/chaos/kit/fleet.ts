import { join } from "node:path";
import { importDataset, importModel } from "@espalier/cli/commands/imports";
import { startRollout } from "@espalier/cli/rollouts";
import { checkoutFolder, findBinaries } from "@espalier/cli/up/binaries";
import { RolloutSpec, type RolloutSpecInput } from "@espalier/shared/contracts/rollout-spec";
import { RolloutState } from "@espalier/shared/contracts/rollout-state";
import type { AgentProcess } from "./agent-process.ts";
import { type Child, childProgram } from "./child.ts";
import { type CoordinatorProcess, type Ending, startCoordinator } from "./coordinator.ts";

/** A whole fleet of real processes: coordinator with its broker, builder, agents; on the bundled model. */
export interface Fleet extends CoordinatorProcess {
  readonly builder: Child;
  readonly agents: readonly AgentProcess[];
  /** Where the builder keeps its finished stages. */
  readonly stagesFolder: string;
  /** Starts a rollout of the imported model. @returns its id */
  rollOut(spec: Partial<RolloutSpecInput> & { name: string }): Promise<string>;
  rollout(id: string): RolloutState;
}

const quick = { calibrationTokens: 512, sensitivityTokens: 256, evaluationTokens: 512 };

export async function startFleet(t: Ending, agentCount: number): Promise<Fleet> {
  const site = await startCoordinator(t);
  const { endpoints, client, query } = site;
  const cache = join(site.root, "builder-cache");
  const builder = childProgram({
    file: findBinaries().python,
    args: [
      ...["-m", "espalier_builder", "worker", "--nats", endpoints.natsUrls.join(",")],
      ...["--creds", endpoints.builderCredsPath, "--cache", cache],
    ],
    ready: /waits for jobs/,
  });
  site.defer(() => builder.end("SIGKILL"));
  await builder.start();
  const agents: AgentProcess[] = [];
  for (let index = 1; index <= agentCount; index++) agents.push(await site.startAgent(`edge-${index}`));

  const model = join(checkoutFolder, "models/tiny");
  const tree = await importModel(client(), model, "tiny");
  const calibration = await importDataset(client(), join(model, "text/train.jsonl"), "calibration");
  const evaluation = await importDataset(client(), join(model, "text/valid.jsonl"), "evaluation");
  return {
    ...site,
    builder,
    agents,
    stagesFolder: join(cache, "stages"),
    async rollOut(spec) {
      const texts = { calibration: calibration.digest, evaluation: evaluation.digest };
      const gates = { maxPredictionError: 1000, minProbeAgreement: 0.5 };
      const input: RolloutSpecInput = { model: tree.digest, ...texts, build: quick, gates, ...spec };
      return (await startRollout(client(), RolloutSpec.parse(input))).rolloutId;
    },
    rollout(id) {
      const [row] = query("select state from rollouts where id = ?", id);
      return RolloutState.parse(JSON.parse(String(row?.["state"])));
    },
  };
}
