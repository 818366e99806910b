import type { GetStatusResponse__Output } from "@espalier/shared/generated/espalier/v1/GetStatusResponse";
import type { Command } from "commander";
import { stringify } from "yaml";
import { unary } from "../client.ts";
import { withClient } from "../session.ts";

export function statusCommand(program: Command): void {
  program
    .command("status")
    .description("where the coordinator listens and how many devices it sees")
    .action(async (_options, command) => {
      await withClient(command, async (client, { output }) => {
        const status = await unary<GetStatusResponse__Output>((done) => client.getStatus({}, done));
        process.stdout.write(output === "json" ? `${JSON.stringify(status, null, 2)}\n` : stringify(status));
      });
    });
}
