import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { MB, requireFreeSpace } from "./disk-space.mjs";
import { Problem } from "./problem.mjs";
import { findPython } from "./python-interpreter.mjs";
import { requireCommand } from "./run-command.mjs";
import { clearStamp, hashInputs, readStamp, writeStamp } from "./stamp.mjs";
import { TORCH, torchIndex } from "./torch-index.mjs";
import { makeVirtualEnvironment } from "./virtual-environment.mjs";

const STEP = "python";

/**
 * The builder's virtual environment: torch, then the builder itself in place with its development tools.
 * INVARIANT: an environment without a stamp is thrown away, since pip cannot tell what a killed pip left.
 * @param {import("./main.mjs").Context} context
 * @returns {Promise<string>} absolute path of the environment's Python
 */
export async function pythonStep({ root, home, mirror, say, beginWork }) {
  const folder = join(home, "venv");
  const inside = join(folder, "bin", "python");
  const project = await readFile(join(root, "builder", "pyproject.toml"), "utf8").catch((error) => {
    throw new Problem("builder/pyproject.toml cannot be read", "restore it: git checkout builder/pyproject.toml", {
      cause: error,
    });
  });
  const stamp = await readStamp(home, STEP);
  const inputs = hashInputs([project, TORCH, folder, process.env.PYTHON ?? ""]);
  const usable =
    stamp !== undefined &&
    (await access(inside).then(
      () => true,
      () => false,
    ));
  if (usable && stamp.inputs === inputs) return inside;

  await beginWork();
  const python = await findPython({ environment: process.env });
  await requireFreeSpace({ folder: home, neededBytes: 4_500 * MB, what: "the Python packages" });
  await clearStamp(home, STEP);
  // With the same interpreter a finished environment is brought up to date; anything else starts over.
  if (!usable || stamp.python !== python.executable || stamp.version !== python.version) {
    say(`Python environment: making it with ${python.command} (${python.version})`);
    await makeVirtualEnvironment({ python: python.command, folder, mirror });
  }

  const index = await torchIndex({ python: inside });
  say(`Python environment: torch ${TORCH} (${index.why})`);
  await pip(home, inside, "torch", [...index.pipArguments, `torch==${TORCH}`]);
  say("Python environment: the builder and its development tools");
  await pip(home, inside, "builder", ["--editable", `${join(root, "builder")}[dev]`]);
  await requireCommand("importing torch", inside, ["-c", "import torch; torch.zeros(1).sum().item()"]);
  await writeStamp(home, STEP, { inputs, python: python.executable, version: python.version });
  say("Python environment: installed");
  return inside;
}

async function pip(home, python, name, what) {
  const env = {
    PIP_CACHE_DIR: join(home, "cache", "pip"),
    ...process.env,
    PIP_DISABLE_PIP_VERSION_CHECK: "1",
    PIP_NO_INPUT: "1",
  };
  const log = join(home, "log", `pip-${name}.log`);
  await requireCommand(`pip install ${name}`, python, ["-m", "pip", "install", "--no-warn-script-location", ...what], {
    env,
    log,
  });
}
