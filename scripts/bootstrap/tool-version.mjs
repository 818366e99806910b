import { Problem } from "./problem.mjs";
import { tryCommand } from "./run-command.mjs";
import { atLeast, parseVersion } from "./versions.mjs";

const dotted = (version) => version.join(".");

/**
 * Runs the program, since a file that merely exists may be for another processor or a newer C library.
 * @param {string} path
 * @param {{ name: string, minimum: number[] }} tool
 * @returns {Promise<string>} its version
 * @throws {Problem} if it doesn't run here, or is too old
 */
export async function requireTool(path, { name, minimum }) {
  const { code, output } = await tryCommand(path, ["--version"], { timeoutMs: 20_000 });
  if (code !== 0) {
    const missing = /GLIBC_[\d.]+/.exec(output)?.[0];
    throw new Problem(
      `${path} does not run here: ${missing === undefined ? output.trim().split("\n").at(-1) : `it needs a newer C library (${missing})`}`,
      `use a ${name} built for this system`,
    );
  }
  const version = parseVersion(output);
  if (version === undefined) throw new Problem(`${path} --version tells no version`, `check that it is a ${name}`);
  if (!atLeast(version, minimum)) {
    throw new Problem(
      `${path} is version ${dotted(version)}; ${name} ${dotted(minimum)} or newer is needed`,
      `use a newer ${name}`,
    );
  }
  return dotted(version);
}
