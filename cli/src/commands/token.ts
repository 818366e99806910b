import { writeFile } from "node:fs/promises";
import type { CreateTokenResponse__Output } from "@espalier/shared/generated/espalier/v1/CreateTokenResponse";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { renderOne } from "../output/print.ts";
import { withClient } from "../session.ts";
import { collectLabels } from "./labels.ts";

export function tokenCommand(program: Command): void {
  const token = program.command("token").description("one-time tokens with which devices enroll");
  const create = token
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
        const token = (made: CreateTokenResponse__Output) => made.token;
        process.stdout.write(renderOne(answer, { name: token, text: (made) => `${made.token}\n` }, output));
        process.stderr.write(
          `valid until ${new Date(answer.expiresAtMs).toISOString()}; on the device:\n` +
            `  espalier-agent --enroll ${answer.enrollmentAddress} --authority ca.pem --token <the token>\n`,
        );
      });
    });
  addExamples(create, [
    ["espalier token create --label tier=small --save-authority ca.pem", "for one device, which gets ca.pem as well"],
    ["TOKEN=$(espalier token create --lifetime 600)", "for a script: the token alone is on stdout"],
  ]);
}
