import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { explainFailure } from "./explain-failure.mjs";
import { say } from "./progress.mjs";

const KEPT_OUTPUT_CHARS = 64_000;
const HEARTBEAT_MS = 20_000;

/**
 * Runs a command to its end and never throws for the command's own failure.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, log?: string, timeoutMs?: number }} [options] `log` also keeps the whole output in a file
 * @returns {Promise<{ code: number, output: string }>} code 127 when it could not be started; `output` is the end of stdout and stderr together
 */
export async function tryCommand(command, args, { cwd, env = process.env, log, timeoutMs } = {}) {
  if (log !== undefined) await mkdir(dirname(log), { recursive: true });
  const logFile = log === undefined ? undefined : createWriteStream(log);
  logFile?.write(`$ ${command} ${args.join(" ")}\n`);
  const startedMs = Date.now();
  let output = "";
  const heartbeat = setInterval(() => {
    const lastLine = output.trimEnd().split("\n").at(-1)?.trim().slice(0, 100) ?? "";
    say(`  still running after ${Math.round((Date.now() - startedMs) / 1000)} s: ${lastLine}`);
  }, HEARTBEAT_MS);
  try {
    const code = await new Promise((resolve) => {
      const child = spawn(command, args, {
        cwd,
        env,
        stdio: ["ignore", "pipe", "pipe", ...setupLock()],
        timeout: timeoutMs,
      });
      const keep = (chunk) => {
        output = (output + chunk).slice(-KEPT_OUTPUT_CHARS);
        logFile?.write(chunk);
      };
      child.stdout.setEncoding("utf8").on("data", keep);
      child.stderr.setEncoding("utf8").on("data", keep);
      child.on("error", (error) => {
        output += String(error.message);
        resolve(127);
      });
      child.on("close", (exitCode) => resolve(exitCode ?? 1));
    });
    return { code, output };
  } finally {
    clearInterval(heartbeat);
    if (logFile !== undefined) await new Promise((resolve) => logFile.end(resolve));
  }
}

/** setup.sh's lock, held by each command too: two setups must not meet in one folder, even if the first was killed. */
function setupLock() {
  const descriptor = Number.parseInt(process.env.ESPALIER_LOCK_FD ?? "", 10);
  return Number.isNaN(descriptor) ? [] : [descriptor];
}

/**
 * @param {string} what names the step in the error
 * @returns {Promise<string>} the output
 * @throws {import("./problem.mjs").Problem} when it fails, with the cause as far as the output tells it
 */
export async function requireCommand(what, command, args, options = {}) {
  const { code, output } = await tryCommand(command, args, options);
  if (code !== 0) throw explainFailure({ what, code, output, log: options.log });
  return output;
}
