import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { debianMirrors, readAptSources } from "./apt-sources.mjs";
import { Problem } from "./problem.mjs";
import { requireCommand, tryCommand } from "./run-command.mjs";

/** Newest first; these names stay right as Debian moves on. */
export const SUITES = ["unstable", "testing", "stable"];

/**
 * Fetches and unpacks Debian packages through an apt of our own: own lists, caches, state and preferences.
 * INVARIANT: nothing outside `folder` is written, and no package is configured or its scripts run.
 * apt checks each package against the archive's signature.
 * @param {{ folder: string, say: (line: string) => void, aptFolder?: string }} setting
 */
export function aptMirror({ folder, say, aptFolder = "/etc/apt" }) {
  /** @type {Map<string, Promise<string[]>>} suite -> apt options, its lists being fetched once */
  const opened = new Map();

  async function open(suite) {
    for (const command of ["apt-get", "dpkg-deb"]) {
      if ((await tryCommand(command, ["--version"])).code !== 0)
        throw new Problem(`${command} does not run here`, "this route is for Debian");
    }
    const [mirror] = debianMirrors(await readAptSources(aptFolder));
    if (mirror === undefined)
      throw new Problem(`no Debian mirror is configured in ${aptFolder}`, "this route is for Debian");
    const base = join(folder, suite);
    await rm(base, { recursive: true, force: true });
    for (const part of ["lists/partial", "cache/archives/partial"]) await mkdir(join(base, part), { recursive: true });
    await writeFile(join(base, "status"), "");
    await writeFile(join(base, "sources.list"), `deb [signed-by=${mirror.keyring}] ${mirror.uri} ${suite} main\n`);
    const settings = {
      "Dir::Etc::SourceList": join(base, "sources.list"),
      "Dir::Etc::SourceParts": "/dev/null",
      "Dir::Etc::Preferences": "/dev/null",
      "Dir::Etc::PreferencesParts": "/dev/null",
      "Dir::State": base,
      "Dir::State::Lists": join(base, "lists"),
      "Dir::State::status": join(base, "status"),
      "Dir::Cache": join(base, "cache"),
      "Acquire::Languages": "none",
      "Acquire::Retries": "2",
      "Acquire::http::Timeout": "20",
      "Acquire::https::Timeout": "20",
      "APT::Default-Release": "",
      // Without it an update that fetched nothing counts as a success.
      "APT::Update::Error-Mode": "any",
      // As root apt would drop to a user who may not be allowed into this checkout.
      ...(process.getuid?.() === 0 ? { "APT::Sandbox::User": "root" } : {}),
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    say(`  reading the package lists of Debian ${suite} from this machine's mirror (own copy, nothing is installed)`);
    await requireCommand(`the package list of Debian ${suite}`, "apt-get", [...options, "update"], {
      timeoutMs: 180_000,
    });
    return options;
  }

  return {
    /**
     * @param {string} suite
     * @param {string} packageName
     * @returns {Promise<string>} the folder that the package was unpacked into
     */
    async unpack(suite, packageName) {
      if (!opened.has(suite)) opened.set(suite, open(suite));
      const options = await opened.get(suite);
      const debs = join(folder, suite, "debs", packageName);
      await rm(debs, { recursive: true, force: true });
      await mkdir(debs, { recursive: true });
      const what = `the Debian package ${packageName} (${suite})`;
      await requireCommand(what, "apt-get", [...options, "download", packageName], { cwd: debs, timeoutMs: 600_000 });
      const deb = (await readdir(debs)).find((name) => name.endsWith(".deb"));
      if (deb === undefined)
        throw new Problem(`${what}: apt-get reported success but left no .deb`, "run the command again");
      const unpacked = join(debs, "unpacked");
      await requireCommand(what, "dpkg-deb", ["-x", join(debs, deb), unpacked]);
      return unpacked;
    },
    /** Lists and packages are large and quickly stale, so nothing of them is kept. */
    async close() {
      await Promise.allSettled(opened.values());
      await rm(folder, { recursive: true, force: true });
    },
  };
}
