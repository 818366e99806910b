import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { messageOf } from "@espalier/shared/errors";
import { build, type Plugin } from "esbuild";
import { z } from "zod";

const root = fileURLToPath(new URL("../..", import.meta.url));
const inRoot = (path: string) => join(root, path);

/** Everything that starts as a program, a worker thread or a process of its own: file name in the package -> source. */
const programs = {
  main: inRoot("agent/src/main.ts"),
  worker: inRoot("agent/src/runtime/worker.ts"),
  "graph-process": inRoot("agent/src/measure/graph-process.ts"),
  "memory-read-worker": inRoot("agent/src/measure/memory-read-worker.ts"),
};

/** Carry libraries for each platform, so they are installed rather than bundled. */
const native = ["koffi", "onnxruntime-node"] as const;

/** Where a file that sources name relative to themselves lies, seen from a program of the package. */
const relocated = new Map<string, string>([
  ...Object.entries(programs).map(([name, source]) => [source, `./${name}.js`] as const),
  [inRoot("proto"), "../proto"],
  [inRoot(".espalier/kernels"), "../kernels"],
]);

const PackageJson = z.object({
  version: z.string(),
  license: z.string(),
  dependencies: z.record(z.string(), z.string()),
});

/**
 * Packs the agent by `npm pack`: bundled JavaScript that needs neither type stripping (Node refuses it under
 * node_modules) nor the other workspaces, and the agent's kernels. Only the native packages remain
 * dependencies.
 * @param destination an existing folder
 * @returns the path of the tarball
 */
export async function packAgent(destination: string): Promise<string> {
  const stage = await mkdtemp(join(tmpdir(), "espalier-agent-package-"));
  try {
    await writePackageJson(stage);
    await bundle(join(stage, "dist"));
    await compileKernels(join(stage, "kernels"));
    await cp(inRoot("proto/espalier"), join(stage, "proto/espalier"), { recursive: true });
    await cp(inRoot("LICENSE"), join(stage, "LICENSE"));
    await writeFile(join(stage, "README.md"), readme);
    const { stdout } = await promisify(execFile)("npm", ["pack", "--json", "--pack-destination", destination], {
      cwd: stage,
    });
    const [packed] = z.array(z.object({ filename: z.string() })).parse(JSON.parse(stdout));
    if (packed === undefined) throw new Error("npm pack named no file");
    return join(destination, packed.filename);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

const readme = `# espalier-agent

Runs one device of an Espalier fleet. \`espalier-agent --help\` tells how.
`;

async function writePackageJson(stage: string): Promise<void> {
  const { version, license, dependencies } = PackageJson.parse(
    JSON.parse(await readFile(inRoot("agent/package.json"), "utf8")),
  );
  const description = {
    name: "espalier-agent",
    version,
    description: "Runs one device of an Espalier fleet",
    license,
    type: "module",
    bin: { "espalier-agent": "dist/main.js" },
    engines: { node: ">=24" },
    files: ["dist", "kernels", "proto"],
    dependencies: Object.fromEntries(native.map((name) => [name, dependencies[name]])),
    // onnxruntime-node's script fetches GPU libraries, which the agent doesn't use.
    allowScripts: { koffi: false, "onnxruntime-node": false },
  };
  await writeFile(join(stage, "package.json"), `${JSON.stringify(description, null, 2)}\n`);
}

/** For each platform that agents run on: a device has no compiler. Without them it serves all the same, more slowly. */
async function compileKernels(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const script = inRoot("scripts/bootstrap/compile-kernels.mjs");
  await promisify(execFile)(process.execPath, [script, folder]).catch((error: unknown) => {
    process.stderr.write(`packed without the agent's kernels: ${messageOf(error)}\n`);
  });
}

async function bundle(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: programs,
    outdir: folder,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node24",
    external: [...native],
    plugins: [relocate],
    // Bundled CommonJS modules ask for Node's own modules by `require`.
    banner: {
      js: 'import { createRequire as espalierRequire } from "node:module"; const require = espalierRequire(import.meta.url);',
    },
    legalComments: "external",
    logLevel: "warning",
  });
  const main = join(folder, "main.js");
  await writeFile(main, `#!/usr/bin/env node\n${await readFile(main, "utf8")}`);
  await chmod(main, 0o755);
}

/** Points `new URL("./file", import.meta.url)` of our sources at where the file lies in the package. */
const relocate: Plugin = {
  name: "relocate",
  setup({ onLoad }) {
    onLoad({ filter: /\/(agent|shared)\/src\/.*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const contents = source.replace(/new URL\("(\.[^"]*)", import\.meta\.url\)/g, (text, relative: string) => {
        const target = join(dirname(path), relative);
        const place = relocated.get(target);
        if (place === undefined) throw new Error(`${path}: ${text} names a file that the package doesn't hold`);
        return `new URL(${JSON.stringify(place)}, import.meta.url)`;
      });
      return { contents, loader: "ts" };
    });
  },
};
