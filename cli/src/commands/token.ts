import { writeFile } from "node:fs/promises";
import type { CreateTokenResponse__Output } from "@espalier/shared/generated/espalier/v1/CreateTokenResponse";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { withClient } from "../session.ts";
import { collectLabels } from "./labels.ts";

export function tokenCommand(program: Command): void {
  const token = program.command("token").description("one-time tokens with which devices enroll");
  token
    .command("create")
    .description("make a token; it is shown once")
    .option("--lifetime <seconds>", "how long it may wait to be used", Number, 3600)
    .option("--label <key=value>", "label of the device that will use it (repeatable)", collectLabels, {})
    .option("--save-authority <file>", "write the authority's certificate, which the device must be given")
    .action(async (options: { lifetime: number; label: Record<string, string>; saveAuthority?: string }, command) => {
      await withClient(command, async (client, { output }) => {
        const request = { lifetimeSeconds: options.lifetime, labels: options.label };
        const answer = await unary<CreateTokenResponse__Output>((done) => client.createToken(request, done));
        if (options.saveAuthority !== undefined) await writeFile(options.saveAuthority, answer.authorityPem);
        if (output === "json") process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
        else process.stdout.write(`${answer.token}\n`);
        process.stderr.write(
          `valid until ${new Date(answer.expiresAtMs).toISOString()}; on the device:\n` +
            `  espalier-agent --enroll ${answer.enrollmentAddress} --authority ca.pem --token <the token>\n`,
        );
      });
    });
}
