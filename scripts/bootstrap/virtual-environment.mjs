import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Problem } from "./problem.mjs";
import { requireCommand, tryCommand } from "./run-command.mjs";

/**
 * Makes an empty virtual environment with pip in it, also where the system's Python comes without ensurepip
 * (Debian keeps it in the separate package python3-venv).
 * @param {{ python: string, folder: string, mirror: { unpack(suite: string, packageName: string): Promise<string> } }} wanted
 * @throws {Problem}
 */
export async function makeVirtualEnvironment({ python, folder, mirror }) {
  await rm(folder, { recursive: true, force: true });
  const whole = await tryCommand(python, ["-m", "venv", folder]);
  if (whole.code === 0) return;

  await rm(folder, { recursive: true, force: true });
  await requireCommand("making the Python environment", python, ["-m", "venv", "--without-pip", folder]);
  const inside = join(folder, "bin", "python");
  const ofSystem = await tryCommand(python, ["-m", "pip", "--python", inside, "install", "pip"]);
  if (ofSystem.code === 0) return;
  try {
    const wheel = await pipWheel(mirror);
    // A wheel is a zip that Python can run from.
    await requireCommand("putting pip into the Python environment", inside, [
      join(wheel, "pip"),
      "install",
      "--no-index",
      wheel,
    ]);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    await rm(folder, { recursive: true, force: true });
    throw new Problem(
      `${python} has neither ensurepip nor pip, and pip could not be had from the package mirror: ${error.what}`,
      "install the python3-venv package, or name a Python that has pip: make PYTHON=/path/to/python3 ...",
      { cause: error },
    );
  }
}

async function pipWheel(mirror) {
  const wheels = join(await mirror.unpack("stable", "python3-pip-whl"), "usr", "share", "python-wheels");
  const name = (await readdir(wheels)).find((file) => /^pip-.*\.whl$/.test(file));
  if (name === undefined) throw new Problem("the package python3-pip-whl holds no pip wheel", "install python3-venv");
  return join(wheels, name);
}
