import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { aptMirror } from "./apt-mirror.mjs";
import { demoModelStep } from "./demo-model-step.mjs";
import { publishEnvironment, withdrawEnvironment } from "./environment-file.mjs";
import { explainFailure } from "./explain-failure.mjs";
import { kernelsStep } from "./kernels-step.mjs";
import { supportedArchitecture } from "./machine.mjs";
import { nodePackagesStep } from "./node-packages-step.mjs";
import { Problem } from "./problem.mjs";
import { say } from "./progress.mjs";
import { pythonStep } from "./python-step.mjs";
import { toolsStep } from "./tools-step.mjs";

/**
 * Installs all that the checkout needs into the checkout: node_modules, and everything else into .espalier.
 * Runs on the machine's own Node 20 or newer. Each step returns at once when its inputs haven't changed.
 *
 * @typedef {object} Context
 * @property {string} root the checkout
 * @property {string} home its .espalier folder
 * @property {"amd64" | "arm64"} arch
 * @property {ReturnType<typeof aptMirror>} mirror
 * @property {(line: string) => void} say
 * @property {() => Promise<void>} beginWork to be called before a step changes anything
 */
async function main() {
  const { values } = parseArgs({ options: { "demo-model": { type: "boolean", default: false } } });
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  const home = join(root, ".espalier");
  const arch = supportedArchitecture(process);
  await mkdir(home, { recursive: true });
  const mirror = aptMirror({ folder: join(home, "cache", "apt"), say });
  const startedMs = Date.now();
  let worked = false;
  /** @type {Context} */
  const context = {
    root,
    home,
    arch,
    mirror,
    say,
    beginWork: async () => {
      worked = true;
      await withdrawEnvironment(home);
    },
  };
  try {
    const node = await nodePackagesStep(context);
    const tools = await toolsStep(context);
    const python = await pythonStep(context);
    await kernelsStep({ ...context, python });
    const demoModel = await demoModelStep({ ...context, python, wanted: values["demo-model"] });
    await publishEnvironment(home, { node, python, ...tools, ...(demoModel === undefined ? {} : { demoModel }) });
  } finally {
    await mirror.close();
  }
  if (worked) say(`everything is in place (${Math.round((Date.now() - startedMs) / 1000)} s)`);
}

try {
  await main();
} catch (error) {
  // A failed system call is the machine's (a full disk, a read-only folder); anything else is a mistake of ours.
  const problem =
    error.syscall === undefined ? error : explainFailure({ what: "the setup", code: 1, output: error.message });
  if (!(problem instanceof Problem)) throw error;
  say(problem.message);
  process.exitCode = 1;
}
