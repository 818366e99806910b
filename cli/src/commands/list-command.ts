import { setTimeout as sleep } from "node:timers/promises";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { matchesSelector, parseSelector } from "@espalier/shared/selector";
import type { Command } from "commander";
import { addExamples, type Example } from "../help/examples.ts";
import { startLiveView } from "../output/live.ts";
import { type Listing, type OutputFormat, renderList } from "../output/print.ts";
import { withClient } from "../session.ts";

export interface ListOptions {
  /** Empty: everything. */
  selector: string;
  watch?: boolean | undefined;
}

/** A verb that lists things. */
export interface ListCommand<Row, Options> {
  /** commander's name with arguments, e.g. `list`. */
  name: string;
  description: string;
  examples: readonly Example[];
  listing: Listing<Row>;
  /** What `--selector` compares. Devices are selected by the coordinator, everything else here. */
  labels: (row: Row) => Readonly<Record<string, string>>;
  selectorHelp: string;
  options?: (command: Command) => Command;
  fetch(client: OperatorClient, options: Options & ListOptions, args: string[]): Promise<Row[]>;
}

const watchIntervalMs = 2_000;

/** Adds a list verb: every list has `-o`, `--selector` and `--watch`, and they mean the same everywhere. */
export function addList<Row, Options = unknown>(group: Command, list: ListCommand<Row, Options>): Command {
  const command = group
    .command(list.name)
    .description(list.description)
    .option("-l, --selector <selector>", list.selectorHelp)
    .option("-w, --watch", "show it again whenever it changes, until Ctrl-C")
    .action(async (...call: unknown[]) => {
      const given = command.opts<Options & Partial<ListOptions>>();
      const options = { ...given, selector: given.selector ?? "" };
      const args = call.slice(0, -2).map(String);
      parseSelector(options.selector);
      await withClient(command, async (client, { output }) => {
        const rows = async () =>
          (await list.fetch(client, options, args)).filter((row) =>
            matchesSelector(options.selector, list.labels(row)),
          );
        if (options.watch === true) await watchList(rows, list.listing, output);
        else process.stdout.write(renderList(await rows(), list.listing, output));
      });
    });
  list.options?.(command);
  return addExamples(command, list.examples);
}

/** Until the process is ended. */
async function watchList<Row>(rows: () => Promise<Row[]>, listing: Listing<Row>, output: OutputFormat): Promise<void> {
  const view = startLiveView();
  let last = "";
  for (;;) {
    const found = await rows();
    const now = JSON.stringify(found);
    // On a terminal also when nothing changed: ages grow.
    if (now !== last || view.inPlace) view.show(renderList(found, listing, output));
    last = now;
    await sleep(watchIntervalMs);
  }
}
