import { Problem } from "./problem.mjs";
import { tryCommand } from "./run-command.mjs";
import { atLeast, parseVersion } from "./versions.mjs";

const MINIMUM = [3, 11];
const FIRST_TOO_NEW = [3, 15]; // torch 2.13 has no wheels for it

const ASK = "import platform, sys; print(platform.python_version()); print(sys.executable)";

/**
 * The first Python that torch and the builder run on. $PYTHON, if set, is the only candidate: who names one wants that one.
 * @param {{ environment: NodeJS.ProcessEnv, ask?: (command: string) => Promise<{ code: number, output: string }> }} options
 * @returns {Promise<{ command: string, version: string, executable: string }>}
 * @throws {Problem} none found, or only too old or too new ones
 */
export async function findPython({
  environment,
  ask = (command) => tryCommand(command, ["-c", ASK], { timeoutMs: 20_000 }),
}) {
  const named = environment.PYTHON;
  const candidates = named ? [named] : ["python3", "python3.13", "python3.12", "python3.11", "python3.14"];
  const refused = [];
  for (const command of candidates) {
    const { code, output } = await ask(command);
    const [versionLine = "", executable = ""] = output.trim().split("\n");
    const version = parseVersion(versionLine);
    if (code !== 0 || version === undefined) {
      if (named) refused.push(`$PYTHON (${named}) does not run`);
    } else if (atLeast(version, MINIMUM) && !atLeast(version, FIRST_TOO_NEW)) {
      return { command, version: versionLine, executable };
    } else {
      refused.push(`${command} is version ${versionLine}`);
    }
  }
  throw new Problem(
    refused.length === 0 ? "python3 is not on PATH" : `no fitting Python: ${refused.join(", ")}`,
    "install Python 3.11 to 3.14 (Debian: the python3 and python3-venv packages), or name one: make PYTHON=/path/to/python3 ...",
  );
}
