import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { EspalierError } from "@espalier/shared/errors";

const graceMs = 5_000;
const pollMs = 25;

/**
 * Ends the server that a killed coordinator left running, if there is one. A pid alone proves nothing (it may have been
 * given to another program since): only a process whose command line names our configuration file is ours.
 */
export async function endLeftoverServer(pidPath: string, configPath: string): Promise<void> {
  const text = await readFile(pidPath, "utf8").catch(() => "");
  const pid = Number(text.trim());
  if (!Number.isInteger(pid) || pid <= 1 || !(await isOurs(pid, configPath))) return;
  process.kill(pid, "SIGTERM");
  if (await isGone(pid, graceMs)) return;
  process.kill(pid, "SIGKILL");
  if (!(await isGone(pid, graceMs))) {
    throw new EspalierError("nats.leftover", `a nats-server of an earlier run (pid ${pid}) doesn't end`, {
      fields: { pid },
      remedy: "end that process by hand",
    });
  }
}

async function isOurs(pid: number, configPath: string): Promise<boolean> {
  return (await commandLine(pid)).includes(configPath);
}

async function commandLine(pid: number): Promise<string> {
  if (process.platform === "linux") return readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return promisify(execFile)("ps", ["-p", String(pid), "-o", "command="]).then(
    ({ stdout }) => stdout,
    () => "",
  );
}

async function isGone(pid: number, withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  while (performance.now() < until) {
    try {
      process.kill(pid, 0);
    } catch {
      return true;
    }
    await sleep(pollMs);
  }
  return false;
}
