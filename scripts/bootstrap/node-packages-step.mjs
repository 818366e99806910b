import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { MB, requireFreeSpace } from "./disk-space.mjs";
import { explainFailure } from "./explain-failure.mjs";
import { Problem } from "./problem.mjs";
import { requireCommand, tryCommand } from "./run-command.mjs";

/**
 * Installs what package-lock.json names, the Node that runs everything else among it.
 * npm's own record of node_modules is the stamp: npm writes it last, so a killed `npm ci` leaves none, and a
 * developer's `npm install` counts as done.
 * @param {import("./main.mjs").Context} context
 * @returns {Promise<string>} absolute path of that Node
 */
export async function nodePackagesStep({ root, home, say, beginWork }) {
  const node = join(root, "node_modules", "node", "bin", "node");
  const lock = await readPackages(join(root, "package-lock.json"));
  if (lock === undefined)
    throw new Problem(
      `${root}/package-lock.json is missing or unreadable`,
      "restore it: git checkout package-lock.json",
    );
  const installed = await readPackages(join(root, "node_modules", ".package-lock.json"));
  if (installed !== undefined && missingPackages(lock, installed).length === 0 && (await exists(node))) return node;

  await beginWork();
  await requireFreeSpace({ folder: root, neededBytes: 1_500 * MB, what: "the Node packages" });
  say("Node packages: npm ci (a minute or two)");
  await installLocked({ root, home, say, lock });
  await requireNode(node, lock["node_modules/node"]?.version);
  say("Node packages: installed");
  return node;
}

/**
 * `npm ci` refuses a lock file that lacks optional packages of other platforms, and a lock file lacks what the registry
 * that wrote it lacked. `npm install --no-save` installs the same locked versions without that demand.
 */
async function installLocked({ root, home, say, lock }) {
  const options = { cwd: root, env: npmEnvironment(home, process.env) };
  const log = join(home, "log", "npm-ci.log");
  const { code, output } = await tryCommand("npm", ["ci", "--no-progress"], { ...options, log });
  if (code === 0) return;
  if (!refusedOnlyForOptional(output, lock)) throw explainFailure({ what: "npm ci", code, output, log });
  say("  the registry and the lock file know different optional packages; installing what the lock file names");
  const installLog = join(home, "log", "npm-install.log");
  await requireCommand("npm install", "npm", ["install", "--no-save", "--no-progress"], {
    ...options,
    log: installLog,
  });
}

/**
 * npm names what disagrees with the lock file one a line, a package without a version where the registry lacks it too.
 * @param {string} output of npm ci
 * @param {Record<string, { optionalDependencies?: Record<string, string> }>} lock
 */
export function refusedOnlyForOptional(output, lock) {
  const optional = new Set(Object.values(lock).flatMap((found) => Object.keys(found.optionalDependencies ?? {})));
  const complaints = output.match(/^npm error (Missing|Invalid): .*$/gm) ?? [];
  const excused = (line) => optional.has(/Missing: (\S+)@\S* from lock file$/.exec(line)?.[1] ?? "");
  return complaints.length > 0 && complaints.every(excused);
}

/**
 * @param {Record<string, { version?: string, resolved?: string, link?: boolean, optional?: boolean, devOptional?: boolean, peer?: boolean }>} lock
 * @param {typeof lock} installed
 * @returns {string[]} locations that the lock asks for and node_modules lacks or has in another version; optional packages are for some platforms only
 */
export function missingPackages(lock, installed) {
  return Object.entries(lock)
    .filter(([location, wanted]) => location !== "" && wanted.optional !== true && wanted.devOptional !== true)
    .filter(([location, wanted]) => {
      const found = installed[location];
      if (found === undefined) return true;
      return wanted.link === true ? found.resolved !== wanted.resolved : found.version !== wanted.version;
    })
    .map(([location]) => location);
}

/** npm's cache stays in the checkout's own folder unless the user has chosen one. */
export function npmEnvironment(home, environment) {
  return {
    npm_config_cache: join(home, "cache", "npm"),
    // npm's own pauses of 10 to 60 s, per package, make a missing network look like a hang.
    npm_config_fetch_retry_mintimeout: "1000",
    npm_config_fetch_retry_maxtimeout: "5000",
    ...environment,
    // The CPU files come with the package; its install script would fetch GPU libraries.
    ONNXRUNTIME_NODE_INSTALL: "skip",
  };
}

async function requireNode(node, wanted) {
  const { code, output } = await tryCommand(node, ["--version"], { timeoutMs: 20_000 });
  if (code === 0 && (wanted === undefined || output.trim() === `v${wanted}`)) return;
  throw new Problem(
    `npm finished, but ${node} ${code === 0 ? `is ${output.trim()} instead of v${wanted}` : "does not run"}`,
    "check that npm may run install scripts (`npm config get ignore-scripts` must say false), remove node_modules and run the command again",
  );
}

async function readPackages(path) {
  try {
    return JSON.parse(await readFile(path, "utf8")).packages;
  } catch {
    return undefined;
  }
}

async function exists(path) {
  return access(path).then(
    () => true,
    () => false,
  );
}
