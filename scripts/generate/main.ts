/**
 * Writes every generated file of the repository, or with `--check` fails naming those that are out of date.
 *
 *     node scripts/generate/main.ts [--check]
 */

import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { grafanaDashboards } from "../../deploy/src/grafana.ts";
import { prometheusRules } from "../../deploy/src/prometheus-rules.ts";
import { cliReference } from "./cli-reference.ts";
import { grpcTypes } from "./grpc-types.ts";
import { jsonSchemas } from "./json-schemas.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Generator {
  folder: string;
  make(): Map<string, string> | Promise<Map<string, string>>;
  /** Absent: the whole folder, so that what is not written there is stale. */
  owns?: (path: string) => boolean;
}

const generators: Generator[] = [
  { folder: "shared/src/generated", make: () => grpcTypes(root) },
  { folder: "builder/src/espalier_builder/schemas", make: () => jsonSchemas() },
  { folder: "deploy/grafana/dashboards", make: () => grafanaDashboards() },
  { folder: "docs", make: cliReference, owns: (path) => path === "cli.md" },
  { folder: "deploy/prometheus/rules", make: () => prometheusRules() },
];

const check = process.argv.includes("--check");
const stale: string[] = [];
for (const { folder, make, owns = () => true } of generators) {
  const wanted = await make();
  const present = (await filesBelow(join(root, folder))).filter(owns);
  for (const path of present) {
    if (wanted.has(path) || path === "__init__.py") continue;
    stale.push(join(folder, path));
    if (!check) await rm(join(root, folder, path));
  }
  for (const [path, text] of wanted) {
    const target = join(root, folder, path);
    if (existsSync(target) && (await readFile(target, "utf8")) === text) continue;
    stale.push(join(folder, path));
    if (check) continue;
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text);
  }
}
if (stale.length > 0)
  console.error(`${check ? "out of date" : "written"}:\n${stale.map((path) => `  ${path}`).join("\n")}`);
if (check && stale.length > 0) {
  console.error("fix: node scripts/generate/main.ts");
  process.exitCode = 1;
}

async function filesBelow(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("__pycache__"))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}
