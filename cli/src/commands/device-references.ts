import { readFile } from "node:fs/promises";
import { DeviceProfile } from "@espalier/shared/contracts/profile";
import { EspalierError } from "@espalier/shared/errors";
import type { ListReferencesResponse__Output } from "@espalier/shared/generated/espalier/v1/ListReferencesResponse";
import type { Reference__Output } from "@espalier/shared/generated/espalier/v1/Reference";
import { toDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import type { Listing } from "../output/print.ts";
import { withClient } from "../session.ts";
import { listProfiles } from "./device-profiles.ts";
import { addList } from "./list-command.ts";

const listing: Listing<Reference__Output> = {
  name: ({ name }) => name,
  none: "no reference devices",
  columns: [
    { title: "NAME", cell: ({ name }) => name },
    { title: "DEVICE", cell: ({ title }) => title, wraps: true },
    { title: "FIGURES", cell: ({ source }) => source, wraps: true },
  ],
};

/** Devices to plan with before they are owned, and sharing measured ones. */
export function addReferenceCommands(device: Command): void {
  addList(device, {
    name: "references",
    description:
      "devices that a plan can count in before they are owned (plan --with), and where their figures are from",
    examples: [["espalier device references", "what `espalier plan --with` knows"]],
    listing,
    labels: ({ name, measured }) => ({ name, measured: String(measured) }),
    selectorHelp: "e.g. measured=true",
    fetch: async (client) =>
      (await unary<ListReferencesResponse__Output>((done) => client.listReferences({}, done))).references,
  });
  addExamples(
    device
      .command("export <device>")
      .description("print a device's newest profile, for import elsewhere")
      .action(async (name: string, _options, command) => {
        await withClient(command, async (client) => {
          const [newest] = await listProfiles(client, name);
          if (newest === undefined) {
            throw new EspalierError("profile.missing", `${name} was not measured yet`, {
              remedy: "a plan measures the devices that it selects: espalier plan -f",
            });
          }
          process.stdout.write(`${JSON.stringify(newest, null, 2)}\n`);
        });
      }),
    [["espalier device export pi > kiosk.json", "share what a device of yours can do"]],
  );
  addExamples(
    device
      .command("import <file>")
      .description("keep a profile that was measured elsewhere, to plan with")
      .requiredOption("--name <name>", "what plans call it; replaces one of the same name")
      .action(async (file: string, { name }: { name: string }, command) => {
        const profile = await readProfile(file);
        await withClient(command, async (client) => {
          await unary((done) => client.importReference({ name, profile: toDocument("DeviceProfile", profile) }, done));
          process.stderr.write(`${name} can be planned with: espalier plan --with ${name}=10\n`);
        });
      }),
    [["espalier device import kiosk.json --name kiosk", "then: espalier plan -f rollout.yaml --with kiosk=40"]],
  );
}

/** @throws {EspalierError} `profile.malformed` */
async function readProfile(file: string): Promise<DeviceProfile> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw new EspalierError("profile.malformed", `${file} can't be read as JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  const parsed = DeviceProfile.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `\n  ${path.join(".")}: ${message}`).join("");
  throw new EspalierError("profile.malformed", `${file} is no device profile:${problems}`, {
    remedy: "make one with `espalier device export`",
  });
}
