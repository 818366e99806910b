import { access, constants, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SUITES } from "./apt-mirror.mjs";
import { download } from "./download.mjs";
import { Problem } from "./problem.mjs";
import { requireCommand } from "./run-command.mjs";

/**
 * The ways to a tool, tried in order. A route is a generator of candidates: paths of executables that the caller
 * runs before it believes in them, so that a candidate too old or too new for this machine leads to the next one.
 * @typedef {{ title: string, candidates: (tool: import("./wanted-tools.mjs").WantedTool) => AsyncGenerator<string> }} Route
 */

/** @param {string[]} folders @returns {Route} */
export function routeFromPath(folders) {
  return {
    title: "on PATH",
    async *candidates({ name }) {
      for (const folder of folders) {
        const path = join(folder, name);
        if (await isExecutable(path)) yield path;
      }
    },
  };
}

/** Debian puts servers into sbin folders, which are not on every user's PATH. */
export function foldersOnPath(pathVariable = "") {
  const folders = [...pathVariable.split(":"), "/usr/local/sbin", "/usr/sbin"];
  return [...new Set(folders.filter((folder) => folder.startsWith("/")))];
}

/** @param {{ unpack(suite: string, packageName: string): Promise<string> }} mirror @returns {Route} */
export function routeFromMirror(mirror) {
  return {
    title: "from this machine's package mirror",
    async *candidates({ package: packageName, member }) {
      const failures = new Set();
      for (const suite of SUITES) {
        let unpacked;
        try {
          unpacked = await mirror.unpack(suite, packageName);
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          failures.add(inOneLine(error.what));
          continue;
        }
        yield join(unpacked, member);
      }
      if (failures.size > 0) throw new Problem([...failures].join("\n"), "see the next route");
    },
  };
}

/** @param {{ folder: string, arch: "amd64" | "arm64", say: (line: string) => void, fetchFile?: typeof download }} setting @returns {Route} */
export function routeFromRelease({ folder, arch, say, fetchFile = download }) {
  return {
    title: "from the official release",
    async *candidates({ name, release }) {
      const archive = join(folder, release.archive(arch));
      say(`  downloading ${release.url(arch)}`);
      await mkdir(folder, { recursive: true });
      await fetchFile({ url: release.url(arch), sha256: release.sha256[arch], to: archive });
      const unpacked = `${archive}.unpacked-${process.pid}`;
      await mkdir(unpacked, { recursive: true });
      await requireCommand(`unpacking ${release.archive(arch)}`, "tar", [
        "-xzf",
        archive,
        "-C",
        unpacked,
        release.member(arch),
      ]);
      const member = join(unpacked, release.member(arch));
      if (!(await isExecutable(member)))
        throw new Problem(`${release.archive(arch)} holds no ${name}`, "report it: the archive is not what was pinned");
      yield member;
    },
  };
}

/** Three suites fail alike; what failed and apt's last word on it are enough of each. */
function inOneLine(what) {
  const lines = what.split("\n").map((line) => line.replace(/^\s*\|?\s*/, ""));
  return lines.length === 1 || /\): /.test(lines[0]) ? lines[0] : `${lines[0]}: ${lines.at(-1)}`;
}

async function isExecutable(path) {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
