import { RolloutState } from "@espalier/shared/contracts/rollout-state";
import type { ListRolloutsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListRolloutsResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument, toDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { state as coloured } from "../output/colour.ts";
import { type Listing, renderOne, type Showing } from "../output/print.ts";
import { labelText, shortDigest, time } from "../output/quantities.ts";
import { renderRollout, rolloutLine } from "../output/rollout.ts";
import { readState, startRollout } from "../rollouts.ts";
import { type GlobalOptions, showOne, withClient } from "../session.ts";
import { readSpec } from "../spec-file.ts";
import { addEventList } from "./events.ts";
import { followRollout } from "./follow-rollout.ts";
import { addList } from "./list-command.ts";

const listing: Listing<RolloutState> = {
  name: (state) => state.spec.name,
  none: "no rollout was started; see espalier rollout start --help",
  columns: [
    { title: "NAME", cell: (state) => state.spec.name },
    { title: "ID", cell: (state) => state.rolloutId, wide: true },
    { title: "MODEL", cell: (state) => state.plan?.modelName ?? shortDigest(state.spec.model) },
    { title: "PHASE", cell: (state) => coloured(state.phase) },
    {
      title: "ACTIVE",
      cell: ({ devices }) => `${devices.filter(({ phase }) => phase === "active").length}/${devices.length}`,
    },
    { title: "STARTED", cell: (state) => time(state.createdAtMs, false) },
    { title: "CHANGED", cell: (state) => time(state.updatedAtMs, false), wide: true },
    { title: "VARIANTS", cell: (state) => state.plan?.variants.map(({ name }) => name).join(",") ?? "", wide: true },
    { title: "REASON", cell: (state) => state.reason, wraps: true },
  ],
};

const showing: Showing<RolloutState> = { name: (state) => state.spec.name, text: renderRollout };

/** Says that a rollout began, and follows it when asked. */
async function report(
  client: OperatorClient,
  state: RolloutState,
  globals: GlobalOptions,
  options: { watch?: boolean },
): Promise<void> {
  process.stderr.write(
    `rollout ${state.spec.name} started (${state.rolloutId})${state.reason && `: ${state.reason}`}\n`,
  );
  if (options.watch === true) await followRollout(client, state.rolloutId, globals);
  else
    process.stdout.write(renderOne(state, { ...showing, text: ({ rolloutId }) => `${rolloutId}\n` }, globals.output));
}

export function rolloutCommand(program: Command): void {
  const rollout = program.command("rollout").description("bring a model to devices, behind gates");
  addStart(rollout);
  addList(rollout, {
    name: "list",
    description: "all rollouts, newest first",
    examples: [
      ["espalier rollout list -l phase=paused", "what waits for a decision"],
      ["espalier rollout list -w", "see them move"],
    ],
    listing,
    labels: ({ spec, phase, plan }) => ({ name: spec.name, phase, model: plan?.modelName ?? "" }),
    selectorHelp: "only rollouts with this name, phase or model, e.g. phase=paused",
    async fetch(client) {
      const { states } = await unary<ListRolloutsResponse__Output>((done) => client.listRollouts({}, done));
      return states.map((state) => fromDocument(state, RolloutState));
    },
  });
  addExamples(
    rollout
      .command("status <rollout>")
      .description("waves, gates with measured values, and each device's state and why, by the rollout's name or id")
      .option("-w, --watch", "follow it to its end; exit code 3 when it did not complete")
      .action(async (name: string, options: { watch?: boolean }, command) => {
        if (options.watch === true)
          await withClient(command, (client, globals) => followRollout(client, name, globals));
        else
          await showOne(command, showing, async (client) =>
            readState(await unary((done) => client.getRollout({ rollout: name }, done))),
          );
      }),
    [
      ["espalier rollout status spring -w", "see it go"],
      ["espalier rollout status spring -o json | jq '.waves[].gates'", "the gates, for a program"],
    ],
  );
  addEventList(
    rollout,
    {
      name: "history <rollout>",
      description: "all that happened in a rollout: phases, gate verdicts with their values, each device's reports",
      examples: [
        ["espalier rollout history spring", "from its start on"],
        ["espalier rollout history spring -l kind=rollout.gate", "only what the gates said"],
      ],
    },
    (name) => ({ rollout: name }),
  );
  addExamples(
    rollout
      .command("undo <rollout>")
      .description("bring back the variants of the completed rollout before this one, behind that one's gates")
      .option("-w, --watch", "follow it to its end; exit code 3 when it did not complete")
      .action(async (name: string, options: { watch?: boolean }, command) => {
        await withClient(command, async (client, globals) => {
          const state = readState(await unary((done) => client.undoRollout({ rollout: name }, done)));
          await report(client, state, globals, options);
        });
      }),
    [["espalier rollout undo spring -w", "the new model answers badly: back to the one before"]],
  );
  addControls(rollout);
}

function addStart(rollout: Command): void {
  addExamples(
    rollout
      .command("start")
      .description("plan, build, then push wave by wave")
      .requiredOption("-f, --file <file>", "rollout specification (YAML or JSON)")
      .option("-w, --watch", "follow it to its end; exit code 3 when it did not complete")
      .option("--dry-run", "only check it, against what is imported and enrolled too; start nothing")
      .option("--check-index <index>", "of the plan to apply: refuse when it no longer stands", "")
      .action(async (options: { file: string; watch?: boolean; dryRun?: boolean; checkIndex: string }, command) => {
        const { checkIndex } = options;
        const spec = await readSpec(options.file);
        await withClient(command, async (client, globals) => {
          if (options.dryRun !== true)
            return report(client, await startRollout(client, spec, checkIndex), globals, options);
          const request = { spec: toDocument("RolloutSpec", spec), dryRun: true, checkIndex };
          const state = readState(await unary((done) => client.startRollout(request, done)));
          process.stdout.write(renderOne(state, { ...showing, text: dryRunText }, globals.output));
        });
      }),
    [
      ["espalier rollout start -f rollout.yaml --dry-run", "every error at once, with its place in the file"],
      ["espalier rollout start -f rollout.yaml -w", "start it and see it go"],
    ],
  );
}

/** What would start. */
function dryRunText({ spec, devices }: RolloutState): string {
  const names = devices.map(({ name }) => name).join(", ");
  const limits = labelText(Object.fromEntries(Object.entries(spec.limits).map(([key, value]) => [key, String(value)])));
  return (
    `${spec.name} is valid; nothing was started\n` +
    `  devices  ${devices.length}: ${names}\n  limits   ${limits || "the owners' budgets only"}\n` +
    "next: `espalier plan` says which variant each device would get; `espalier rollout start` without --dry-run starts it\n"
  );
}

function addControls(rollout: Command): void {
  const controls = [
    { verb: "pause", action: "ACTION_PAUSE", what: "start nothing new; devices at work finish" },
    { verb: "resume", action: "ACTION_RESUME", what: "go on with a paused rollout; an inconclusive wave is accepted" },
    { verb: "abort", action: "ACTION_ABORT", what: "end it; devices that have the new variant keep it" },
  ] as const;
  for (const { verb, action, what } of controls) {
    addExamples(
      rollout
        .command(`${verb} <rollout>`)
        .description(what)
        .action(async (name: string, _options, command) => {
          await withClient(command, async (client) => {
            const state = readState(await unary((done) => client.controlRollout({ rollout: name, action }, done)));
            process.stderr.write(`${rolloutLine(state)}\n`);
          });
        }),
      [[`espalier rollout ${verb} spring`, what.split(";")[0] ?? what]],
    );
  }
}
