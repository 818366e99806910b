/** The agent as a device gets it: unpacked from the tarball into an empty folder, away from the checkout. */
import { execFile } from "node:child_process";
import { mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { unary } from "@espalier/cli/client";
import { type Binaries, checkoutFolder } from "@espalier/cli/up/binaries";
import { ManagedProcess } from "@espalier/cli/up/managed-process";
import type { Stack } from "@espalier/cli/up/stack";
import { AgentEndpoints } from "@espalier/shared/contracts/context";
import type { CreateTokenResponse__Output } from "@espalier/shared/generated/espalier/v1/CreateTokenResponse";
import { packAgent } from "../scripts/pack-agent/pack-agent.ts";

/** Packages with libraries of their own, which npm would fetch; a test takes the checkout's. */
const native = ["koffi", "onnxruntime-node", "onnxruntime-common"];

/** Packs the agent and lays it out in `folder` as `npm install FILE.tgz` does. @returns its program */
export async function installPackedAgent(folder: string): Promise<string> {
  const modules = join(folder, "node_modules");
  await mkdir(modules, { recursive: true });
  const tarball = await packAgent(folder);
  await promisify(execFile)("tar", ["-xzf", tarball, "-C", modules]);
  await rename(join(modules, "package"), join(modules, "espalier-agent"));
  for (const name of native) await symlink(join(checkoutFolder, "node_modules", name), join(modules, name));
  return join(modules, "espalier-agent/dist/main.js");
}

/** Starts it in `folder` as a device that enrolls, and waits until it serves its API. */
export async function startPackedAgent(
  binaries: Binaries,
  { client }: Stack,
  folder: string,
): Promise<{ agent: ManagedProcess; apiUrl: string }> {
  const program = await installPackedAgent(folder);
  const { token, authorityPem, enrollmentAddress } = await unary<CreateTokenResponse__Output>((done) =>
    client.createToken({ lifetimeSeconds: 600, labels: { device: "packed" } }, done),
  );
  const authorityPath = join(folder, "ca.pem");
  await writeFile(authorityPath, authorityPem);
  const data = join(folder, "data");
  const agent = new ManagedProcess(
    {
      name: "packed",
      file: binaries.node,
      args: [
        ...[program, "--data", data, "--name", "packed", "--threads", "1"],
        ...["--enroll", enrollmentAddress, "--token", token, "--authority", authorityPath],
      ],
      logPath: `${folder}.log`,
    },
    (reason) => process.stderr.write(`the packed agent ended: ${reason}\n`),
  );
  const { apiUrl } = await agent.ready(async () => {
    const text = await readFile(join(data, "agent.json"), "utf8").catch(() => undefined);
    return text === undefined ? undefined : AgentEndpoints.parse(JSON.parse(text));
  }, 60_000);
  return { agent, apiUrl };
}
