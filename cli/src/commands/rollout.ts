import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { type RolloutPhase, RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError } from "@espalier/shared/errors";
import type { ListRolloutsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListRolloutsResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { RolloutResponse__Output } from "@espalier/shared/generated/espalier/v1/RolloutResponse";
import { fromDocument, toDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { messages, unary } from "../client.ts";
import { type Listing, renderList } from "../output/print.ts";
import { ago } from "../output/quantities.ts";
import { renderRollout, rolloutLine } from "../output/rollout.ts";
import { type GlobalOptions, withClient } from "../session.ts";
import { readSpec } from "../spec-file.ts";

/** Phases in which a rollout moves no more. */
export const endPhases: readonly RolloutPhase[] = ["complete", "aborted", "failed", "rolled-back"];

function readState(response: RolloutResponse__Output): RolloutState {
  if (!response.state) throw new EspalierError("rollout.missing", "the coordinator sent no rollout state");
  return fromDocument(response.state, RolloutState);
}

export async function startRollout(client: OperatorClient, spec: RolloutSpec): Promise<RolloutState> {
  return readState(await unary((done) => client.startRollout({ spec: toDocument("RolloutSpec", spec) }, done)));
}

/** The states of a rollout as they change, until it ends. */
export async function* watchRollout(client: OperatorClient, rollout: string): AsyncGenerator<RolloutState> {
  for await (const response of messages(client.watchRollout({ rollout }))) yield readState(response);
}

const listing: Listing<RolloutState> = {
  name: (state) => state.spec.name,
  columns: [
    { title: "NAME", cell: (state) => state.spec.name },
    { title: "MODEL", cell: (state) => state.spec.model },
    { title: "PHASE", cell: (state) => state.phase },
    {
      title: "ACTIVE",
      cell: ({ devices }) => `${devices.filter(({ phase }) => phase === "active").length}/${devices.length}`,
    },
    { title: "STARTED", cell: (state) => ago(state.createdAtMs, Date.now()) },
    { title: "REASON", cell: (state) => state.reason },
  ],
};

async function watch(client: OperatorClient, rollout: string, options: GlobalOptions): Promise<void> {
  let last: RolloutState | undefined;
  let lastLine = "";
  for await (const state of watchRollout(client, rollout)) {
    last = state;
    const line = rolloutLine(state);
    if (line !== lastLine) process.stderr.write(`${line}\n`);
    lastLine = line;
    if (state.phase === "paused") break;
  }
  if (last === undefined) return;
  process.stdout.write(options.output === "json" ? `${JSON.stringify(last, null, 2)}\n` : renderRollout(last));
  if (last.phase !== "complete") process.exitCode = 3;
}

export function rolloutCommand(program: Command): void {
  const rollout = program.command("rollout").description("bring a model to devices, behind gates");
  rollout
    .command("start")
    .description("plan, build, then push wave by wave")
    .requiredOption("-f, --file <file>", "rollout specification (YAML or JSON)")
    .option("-w, --watch", "follow it to its end; exit code 3 when it did not complete")
    .action(async (options: { file: string; watch?: boolean }, command) => {
      const spec = await readSpec(options.file);
      await withClient(command, async (client, globals) => {
        const state = await startRollout(client, spec);
        process.stderr.write(`rollout ${state.spec.name} started (${state.rolloutId})\n`);
        if (options.watch === true) await watch(client, state.rolloutId, globals);
        else
          process.stdout.write(
            globals.output === "json" ? `${JSON.stringify(state, null, 2)}\n` : `${state.rolloutId}\n`,
          );
      });
    });
  rollout
    .command("status [rollout]")
    .description("one rollout by name or id, or all")
    .option("-w, --watch", "follow it to its end")
    .action(async (name: string | undefined, options: { watch?: boolean }, command) => {
      await withClient(command, async (client, globals) => {
        if (name === undefined) {
          const { states } = await unary<ListRolloutsResponse__Output>((done) => client.listRollouts({}, done));
          const rows = states.map((state) => fromDocument(state, RolloutState));
          process.stdout.write(renderList(rows, listing, globals.output));
        } else if (options.watch === true) {
          await watch(client, name, globals);
        } else {
          const state = readState(await unary((done) => client.getRollout({ rollout: name }, done)));
          process.stdout.write(
            globals.output === "json" ? `${JSON.stringify(state, null, 2)}\n` : renderRollout(state),
          );
        }
      });
    });
  const controls = [
    { verb: "pause", action: "ACTION_PAUSE", what: "start nothing new; devices at work finish" },
    { verb: "resume", action: "ACTION_RESUME", what: "go on with a paused rollout" },
    { verb: "abort", action: "ACTION_ABORT", what: "end it; devices that have the new variant keep it" },
  ] as const;
  for (const { verb, action, what } of controls) {
    rollout
      .command(`${verb} <rollout>`)
      .description(what)
      .action(async (name: string, _options, command) => {
        await withClient(command, async (client) => {
          const state = readState(await unary((done) => client.controlRollout({ rollout: name, action }, done)));
          process.stderr.write(`${rolloutLine(state)}\n`);
        });
      });
  }
}
