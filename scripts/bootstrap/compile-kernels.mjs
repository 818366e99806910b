import { mkdir, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { requireCommand } from "./run-command.mjs";

const SOURCES = fileURLToPath(new URL("../../agent/native", import.meta.url));

/** What agents run on, as Node names it, and as the compiler does: glibc of Debian 10 and newer, as onnxruntime-node. */
export const KERNEL_PLATFORMS = { "linux-x64": "x86_64-linux-gnu.2.28", "linux-arm64": "aarch64-linux-gnu.2.28" };

const FLAGS = [
  "-std=c11",
  "-O3",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-fPIC",
  "-shared",
  "-fvisibility=hidden",
  "-s",
  "-lpthread",
];

/** @returns {Promise<Buffer[]>} all that a library is made of, in a fixed order */
export async function kernelSources() {
  const names = (await readdir(SOURCES)).filter((name) => /\.[ch]$/.test(name)).sort();
  return Promise.all(names.map((name) => readFile(join(SOURCES, name))));
}

/**
 * Compiles agent/native by the C compiler of PyPI's `ziglang`, which needs nothing of the machine and compiles for others.
 * Leaves `folder`/PLATFORM/kernels.so, there only when it is whole.
 * @param {{ python: string, platform: keyof typeof KERNEL_PLATFORMS, folder: string, home: string }} request
 */
export async function compileKernels({ python, platform, folder, home }) {
  const library = join(folder, platform, "kernels.so");
  const unfinished = `${library}.unfinished`;
  await mkdir(join(folder, platform), { recursive: true });
  const sources = (await readdir(SOURCES)).filter((name) => name.endsWith(".c")).map((name) => join(SOURCES, name));
  const cache = join(home, "cache", "zig");
  const env = { ...process.env, ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache };
  const compile = ["-m", "ziglang", "cc", "-target", KERNEL_PLATFORMS[platform], ...FLAGS];
  const log = join(home, "log", "kernels.log");
  await requireCommand("compiling the agent's kernels", python, [...compile, "-o", unfinished, ...sources], {
    env,
    log,
  });
  await rename(unfinished, library);
}

// `node compile-kernels.mjs FOLDER`: for every platform, in a checkout that is set up.
if (argv[1] === fileURLToPath(import.meta.url)) {
  const home = fileURLToPath(new URL("../../.espalier", import.meta.url));
  const { python } = JSON.parse(await readFile(join(home, "env.json"), "utf8"));
  for (const platform of Object.keys(KERNEL_PLATFORMS))
    await compileKernels({ python, platform, folder: argv[2] ?? join(home, "kernels"), home });
}
