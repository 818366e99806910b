import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MB, requireFreeSpace } from "./disk-space.mjs";
import { obtainTool } from "./obtain-tool.mjs";
import { clearStamp, hashInputs, readStamp, writeStamp } from "./stamp.mjs";
import { foldersOnPath, routeFromMirror, routeFromPath, routeFromRelease } from "./tool-routes.mjs";
import { WANTED_TOOLS } from "./wanted-tools.mjs";

/**
 * nats-server, prometheus and promtool.
 * @param {import("./main.mjs").Context} context
 * @returns {Promise<Record<"natsServer" | "prometheus" | "promtool", string>>} absolute paths
 */
export async function toolsStep({ home, arch, mirror, say, beginWork }) {
  const downloads = join(home, "cache", "downloads");
  const routes = [
    routeFromPath(foldersOnPath(process.env.PATH)),
    routeFromMirror(mirror),
    routeFromRelease({ folder: downloads, arch, say }),
  ];
  const paths = {};
  let worked = false;
  try {
    for (const tool of WANTED_TOOLS) {
      const inputs = hashInputs([JSON.stringify(tool), arch]);
      const stamp = await readStamp(home, tool.name);
      if (stamp?.inputs === inputs && (await fingerprint(stamp.path)) === stamp.fingerprint) {
        paths[tool.key] = stamp.path;
        continue;
      }
      await beginWork();
      worked = true;
      await requireFreeSpace({ folder: home, neededBytes: 500 * MB, what: `${tool.name} and its download` });
      await clearStamp(home, tool.name);
      say(`${tool.name}: looking for version ${tool.minimum.join(".")} or newer`);
      const { path, version, route } = await obtainTool({ tool, routes, binFolder: join(home, "bin") });
      await writeStamp(home, tool.name, { inputs, path, fingerprint: await fingerprint(path) });
      say(`${tool.name}: version ${version} ${route}`);
      paths[tool.key] = path;
    }
  } finally {
    if (worked) await rm(downloads, { recursive: true, force: true });
  }
  return paths;
}

/** Changes when the program was replaced, and is undefined when it is gone. */
async function fingerprint(path) {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? undefined : `${found.size}:${Math.trunc(found.mtimeMs)}`;
}
