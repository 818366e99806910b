import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { BackupEvent } from "@espalier/shared/contracts/backup";
import { startProgress, transferMessage } from "./output/progress.ts";
import { checkoutFolder } from "./up/binaries.ts";

export type BackupSummary = Extract<BackupEvent, { kind: "done" }>;

/**
 * Runs the coordinator's backup program on this machine, with a progress bar. It works on the data folder itself: keys
 * of the authority don't travel to an operator's machine, and a coordinator that can't start can still be backed up.
 * @returns null when it failed, which it has told on stderr
 */
export async function runBackupProgram(verb: "backup" | "restore", args: string[]): Promise<BackupSummary | null> {
  const program = join(checkoutFolder, "coordinator/src/backup/main.ts");
  const child = spawn(process.execPath, [program, verb, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const startedMs = performance.now();
  let progress: ReturnType<typeof startProgress> | null = null;
  let summary: BackupSummary | null = null;
  for await (const line of createInterface(child.stdout)) {
    const event = BackupEvent.parse(JSON.parse(line));
    if (event.kind === "done") summary = event;
    else {
      const { doneBytes, totalBytes } = event;
      progress ??= startProgress(verb);
      progress.update(doneBytes / totalBytes, transferMessage(doneBytes, totalBytes, performance.now() - startedMs));
    }
  }
  await exited;
  progress?.finish();
  return summary;
}
