import { rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import type { OperatorContext } from "@espalier/shared/contracts/context";
import { Role } from "@espalier/shared/contracts/role";
import { EspalierError } from "@espalier/shared/errors";
import type { CreateOperatorResponse__Output } from "@espalier/shared/generated/espalier/v1/CreateOperatorResponse";
import type { ListOperatorsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListOperatorsResponse";
import type { OperatorAccount__Output } from "@espalier/shared/generated/espalier/v1/OperatorAccount";
import { type Command, Option } from "commander";
import { unary } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { state } from "../output/colour.ts";
import type { Listing } from "../output/print.ts";
import { time } from "../output/quantities.ts";
import { withClient } from "../session.ts";
import { addList } from "./list-command.ts";

function standing({ revokedAtMs, expiresAtMs }: OperatorAccount__Output): string {
  if (revokedAtMs > 0) return "revoked";
  return expiresAtMs <= Date.now() ? "expired" : "active";
}

const listing: Listing<OperatorAccount__Output> = {
  name: ({ name }) => name,
  none: "nobody but the coordinator's own admin; make operators with `espalier operator create`",
  columns: [
    { title: "NAME", cell: ({ name }) => name },
    { title: "ROLE", cell: ({ role }) => role },
    { title: "STATE", cell: (operator) => state(standing(operator)) },
    { title: "CREATED", cell: ({ createdAtMs }) => time(createdAtMs, false) },
    { title: "BY", cell: ({ createdBy }) => createdBy },
    { title: "EXPIRES", cell: ({ expiresAtMs }) => new Date(expiresAtMs).toISOString().slice(0, 10) },
  ],
};

export function operatorCommand(program: Command): void {
  const operator = program
    .command("operator")
    .description(
      "people and programs that may use this coordinator: viewers look, operators run the fleet, admins say who",
    );
  addExamples(
    operator
      .command("create <name>")
      .description("give somebody access; writes a context file that holds the key, for their machine")
      .addOption(new Option("--role <role>", "what they may do").choices(Role.options).makeOptionMandatory())
      .option("--days <days>", "how long it is valid", Number, 365)
      .option("--save <file>", "where to write the context (default: <name>.context.json)")
      .action(async (name: string, options: { role: Role; days: number; save?: string }, command) => {
        const path = options.save ?? `${name}.context.json`;
        // Before anything is made: a key that can't be written would be lost.
        await reserve(path);
        const made = withClient(command, async (client) => {
          const request = { name, role: options.role, lifetimeDays: options.days };
          return unary<CreateOperatorResponse__Output>((done) => client.createOperator(request, done));
        });
        const { expiresAtMs, ...keys } = await made.catch(async (error: unknown) => {
          await rm(path);
          throw error;
        });
        const context: OperatorContext = { schemaVersion: 1, ...keys };
        await writeFile(path, `${JSON.stringify(context, null, 2)}\n`);
        process.stdout.write(`${path}\n`);
        process.stderr.write(
          `${name} is ${options.role} until ${new Date(expiresAtMs).toISOString().slice(0, 10)}; the file holds the key, so hand it over safely. There:\n` +
            `  espalier --context ${path} status     (or ESPALIER_CONTEXT, or ~/.config/espalier/context.json)\n`,
        );
        if (isLoopback(keys.operatorAddress)) {
          process.stderr.write(
            `warning: the coordinator is known as ${keys.operatorAddress}, which works on its own machine only; start it with --listen and --advertise for others\n`,
          );
        }
      }),
    [
      ["espalier operator create ada --role operator", "a colleague who runs the fleet; writes ada.context.json"],
      [
        "espalier operator create grafana --role viewer --days 30 --save /run/grafana.json",
        "a program that only reads",
      ],
    ],
  );
  addList(operator, {
    name: "list",
    description: "operators, what they may do and until when",
    examples: [["espalier operator list -l role=admin", "who else may give access"]],
    listing,
    labels: (row) => ({ role: row.role, state: standing(row) }),
    selectorHelp: "only operators with this role or state, e.g. role=admin",
    fetch: async (client) =>
      (await unary<ListOperatorsResponse__Output>((done) => client.listOperators({}, done))).operators,
  });
  addExamples(
    operator
      .command("revoke <name>")
      .description("end somebody's access at once, on open connections too")
      .action(async (name: string, _options, command) => {
        await withClient(command, async (client) => {
          await unary((done) => client.revokeOperator({ name }, done));
          process.stderr.write(`${name} has no access any more\n`);
        });
      }),
    [["espalier operator revoke ada", "the name can be given again; the old certificate stays refused"]],
  );
}

/** @throws {EspalierError} `context.unwritable`, also for a file that is there: it may hold somebody's only key */
async function reserve(path: string): Promise<void> {
  try {
    await writeFile(path, "", { flag: "wx", mode: 0o600 });
  } catch (cause) {
    throw new EspalierError("context.unwritable", `${path} can't be made: ${(cause as Error).message}`, {
      fields: { path },
      remedy: "name another file with --save",
      cause,
    });
  }
}

function isLoopback(address: string): boolean {
  const host = address.slice(0, address.lastIndexOf(":"));
  return host === "localhost" || (isIP(host) !== 0 && (host.startsWith("127.") || host === "::1"));
}
