import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { Command } from "commander";
import { connect } from "./client.ts";
import { type OutputFormat, renderOne, type Showing } from "./output/print.ts";

/** Options that every command understands. */
export interface GlobalOptions {
  context?: string;
  output: OutputFormat;
}

/** Where `espalier up` keeps its data unless told otherwise: its context is the default one beside it. */
export const defaultUpFolder = ".espalier/up";

export function contextPath(options: GlobalOptions): string {
  const named = options.context ?? process.env["ESPALIER_CONTEXT"];
  if (named !== undefined) return resolve(named);
  const local = resolve(defaultUpFolder, "coordinator/context.json");
  return existsSync(local) ? local : join(homedir(), ".config/espalier/context.json");
}

/** Runs an action with a connected client and closes it afterwards. */
export async function withClient<Result>(
  command: Command,
  action: (client: OperatorClient, options: GlobalOptions) => Promise<Result>,
): Promise<Result> {
  const options = command.optsWithGlobals<GlobalOptions>();
  const client = connect(contextPath(options));
  try {
    return await action(client, options);
  } finally {
    client.close();
  }
}

/** Prints what an action with a connected client found. */
export async function showOne<Value>(
  command: Command,
  showing: Showing<Value>,
  find: (client: OperatorClient) => Promise<Value>,
): Promise<void> {
  await withClient(command, async (client, { output }) => {
    process.stdout.write(renderOne(await find(client), showing, output));
  });
}
