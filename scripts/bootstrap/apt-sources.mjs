import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Suites of the Debian archive proper; "-security" lives in another archive and third-party suites in theirs. */
const DEBIAN_SUITE =
  /^(oldstable|stable|testing|unstable|sid|buster|bullseye|bookworm|trixie|forky|duke)(-updates|-backports)?$/;
const DEFAULT_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * The Debian mirrors that this machine's own apt is configured with, in order, each once.
 * @param {{ path: string, text: string }[]} files apt source lists, in the one-line and the deb822 format
 * @returns {{ uri: string, keyring: string }[]}
 */
export function debianMirrors(files) {
  const mirrors = new Map();
  for (const { path, text } of files) {
    for (const source of path.endsWith(".sources") ? deb822Sources(text) : oneLineSources(text)) {
      if (!source.components.includes("main") || !source.suites.some((suite) => DEBIAN_SUITE.test(suite))) continue;
      for (const uri of source.uris) {
        if (!mirrors.has(uri)) mirrors.set(uri, { uri, keyring: source.keyring ?? DEFAULT_KEYRING });
      }
    }
  }
  return [...mirrors.values()];
}

/** `deb [arch=amd64 signed-by=/path] uri suite component...` */
function oneLineSources(text) {
  return text.split("\n").flatMap((line) => {
    const parts = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (parts === null) return [];
    const [, options = "", uri, suite, components] = parts;
    const keyring = /(?:^|\s)signed-by=(\/\S+)/i.exec(options)?.[1];
    return [{ uris: [uri], suites: [suite], components: components.trim().split(/\s+/), keyring }];
  });
}

/** Stanzas of `Field: value`, a value going on over indented lines. */
function deb822Sources(text) {
  const uncommented = text.replace(/^#.*\n?/gm, "");
  return uncommented.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map();
    for (const [, name, value] of stanza.matchAll(/^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)/gm)) {
      fields.set(name.toLowerCase(), value.trim());
    }
    const words = (name) => (fields.get(name) ?? "").split(/\s+/).filter((word) => word !== "");
    if (!words("types").includes("deb") || fields.get("enabled")?.toLowerCase() === "no") return [];
    // A key written into the stanza itself isn't a path; the archive's installed keyring serves as well.
    const keyring = words("signed-by").find((word) => word.startsWith("/"));
    return [{ uris: words("uris"), suites: words("suites"), components: words("components"), keyring }];
  });
}

/** @param {string} folder usually /etc/apt @returns {Promise<{ path: string, text: string }[]>} what can be read of it */
export async function readAptSources(folder) {
  const parts = await readdir(join(folder, "sources.list.d")).catch(() => []);
  const paths = [
    join(folder, "sources.list"),
    ...parts
      .filter((name) => /\.(list|sources)$/.test(name))
      .sort()
      .map((name) => join(folder, "sources.list.d", name)),
  ];
  const files = await Promise.all(
    paths.map(async (path) => ({ path, text: await readFile(path, "utf8").catch(() => "") })),
  );
  return files.filter(({ text }) => text !== "");
}
