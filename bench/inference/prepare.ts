import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const nodeLlamaCppVersion = "3.22.1";
const openvinoVersion = "2026.4.1";

export interface Sources {
  readonly python: string;
  /** GGUF file of the model. */
  readonly model: string;
  readonly calibration: string;
  readonly evaluation: string;
  readonly levels: readonly string[];
}

export interface Prepared {
  /** Folder of the subjects. */
  readonly work: string;
  /** Entry of node-llama-cpp. */
  readonly llamaEntry: string;
  readonly python: string;
  /** Folders of Python packages. */
  readonly ikFolder: string;
  readonly openvinoFolder: string;
  /** Of the builder's benchmarks. */
  readonly benchFolder: string;
}

/** Makes what is missing below `.espalier/bench`: the subjects' files and the peers' packages. */
export async function prepare({ python, model, calibration, evaluation, levels }: Sources): Promise<Prepared> {
  const work = join(root, ".espalier", "bench", "inference");
  const peers = join(root, ".espalier", "bench");
  const llamaEntry = await installLlama(join(peers, "node-llama-cpp"));
  // The Makefile installs it, for another benchmark too.
  const ikFolder = join(peers, "ik-llama-cpp");
  const openvinoFolder = join(peers, "openvino");
  await installPython(python, openvinoFolder, "openvino", `openvino==${openvinoVersion}`);
  const benchFolder = join(root, "builder", "bench");
  const files = ["--model", model, "--calibration", calibration, "--eval", evaluation, "--out", work];
  const args = [join(benchFolder, "inference_subjects.py"), ...files, "--levels", ...levels];
  await run(python, args, join(root, "builder"), { PYTHONPATH: openvinoFolder });
  return { work, llamaEntry, python, ikFolder, openvinoFolder, benchFolder };
}

/** A package by itself: what it needs the builder has. */
async function installPython(python: string, folder: string, module: string, requirement: string): Promise<void> {
  if (existsSync(join(folder, module))) return;
  const options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", folder];
  await run(python, ["-m", "pip", "install", ...options, requirement], root);
}

async function installLlama(folder: string): Promise<string> {
  const entry = join(folder, "node_modules", "node-llama-cpp", "dist", "index.js");
  if (existsSync(entry)) return entry;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true }));
  // Optional packages would bring the binaries of every platform and of CUDA.
  const platform = `@node-llama-cpp/${process.platform}-${process.arch}@${nodeLlamaCppVersion}`;
  const options = ["--ignore-scripts", "--omit=optional", "--no-save", "--no-audit", "--no-fund"];
  await run("npm", ["install", ...options, `node-llama-cpp@${nodeLlamaCppVersion}`, platform], folder);
  return entry;
}

/** Runs a program, its output shown. Throws when it fails. */
async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const path = `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...environment, PATH: path },
    stdio: ["ignore", 2, 2],
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${program} ${args.slice(0, 2).join(" ")} ended with ${code}`);
}
