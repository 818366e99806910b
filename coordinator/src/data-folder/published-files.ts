import { join } from "node:path";
import type { CoordinatorEndpoints, OperatorContext } from "@espalier/shared/contracts/context";
import { writePrivateFile } from "../identity/private-file.ts";

/** Files by which others find this coordinator. */
export const publishedFiles = {
  authority: "authority.pem",
  context: "context.json",
  endpoints: "endpoints.json",
  builderCredentials: "builder.creds",
} as const;

/**
 * Writes what operators' tools, builders and agents need to join. `endpoints.json` comes last: who waits for it finds
 * everything else there, and the coordinator ready.
 */
export async function publishFiles(
  folder: string,
  contents: {
    authorityPem: string;
    builderCredentials: string;
    context: OperatorContext;
    endpoints: CoordinatorEndpoints;
  },
): Promise<void> {
  const write = (name: string, text: string) => writePrivateFile(join(folder, name), text);
  await write(publishedFiles.authority, contents.authorityPem);
  await write(publishedFiles.builderCredentials, contents.builderCredentials);
  await write(publishedFiles.context, `${JSON.stringify(contents.context, null, 2)}\n`);
  await write(publishedFiles.endpoints, `${JSON.stringify(contents.endpoints, null, 2)}\n`);
}
