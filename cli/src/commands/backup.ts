import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { type BackupSummary, runBackupProgram } from "../backup-process.ts";
import { exitCodes } from "../exit-codes.ts";
import { addExamples } from "../help/examples.ts";
import { renderOne, type Showing } from "../output/print.ts";
import { bytes } from "../output/quantities.ts";
import { contextPath, defaultUpFolder, type GlobalOptions } from "../session.ts";

const backedUp: Showing<BackupSummary> = {
  name: ({ path }) => path,
  text: (done) => `backed up ${contents(done)} to ${done.path}\n`,
};

const restored: Showing<BackupSummary> = {
  name: ({ path }) => path,
  text: (done) =>
    `restored ${contents(done)} of ${new Date(done.createdAtMs).toISOString()} into ${done.path}; epoch ${done.epoch}\n`,
};

/** `backup` and `restore`, on the coordinator's machine. */
export function backupCommands(program: Command): void {
  const backup = program
    .command("backup <target>")
    .description("back up the coordinator of this machine, also while it runs, into a new .tar file or folder")
    .option("--data <folder>", "the coordinator's data folder (default: where its context.json lies)")
    .addHelpText(
      "after",
      `
The database as it is at one moment, all models, datasets and variants (each verified), the certificate authority and
the broker's identities. It holds private keys: keep it as you keep those.`,
    )
    .action(async (target: string, options: { data?: string }, command: Command) => {
      const globals = command.optsWithGlobals<GlobalOptions>();
      const folder = resolve(options.data ?? dirname(contextPath(globals)));
      report(await runBackupProgram("backup", ["--data", folder, "--to", resolve(target)]), backedUp, globals);
    });
  addExamples(backup, [["espalier backup /mnt/backups/espalier-$(date +%F).tar", "every night, from a timer"]]);
  const restore = program
    .command("restore <backup>")
    .description("make a new data folder out of a backup; the coordinator is started on it afterwards")
    .option("--data <folder>", "the folder to make, absent or empty", join(defaultUpFolder, "coordinator"))
    .addHelpText(
      "after",
      `
Everything is verified before the folder appears. A new epoch of assignments starts: devices take what the restored
coordinator decides, whatever they were told after the backup was made. What happened since then is not in it: a device
enrolled later enrolls again, one revoked later is revoked again, and one-time tokens are void. docs/backup.md has more.`,
    )
    .action(async (source: string, options: { data: string }, command: Command) => {
      const summary = await runBackupProgram("restore", ["--from", resolve(source), "--data", resolve(options.data)]);
      report(summary, restored, command.optsWithGlobals<GlobalOptions>());
    });
  addExamples(restore, [
    ["espalier restore /mnt/backups/espalier-2026-11-26.tar --data /var/lib/espalier", "on a new machine"],
  ]);
}

function contents({ devices, blobs, totalBytes }: BackupSummary): string {
  return `${devices} devices and ${blobs} blobs (${bytes(totalBytes)})`;
}

function report(summary: BackupSummary | null, showing: Showing<BackupSummary>, { output }: GlobalOptions): void {
  if (summary === null) process.exitCode = exitCodes.failed.code;
  else process.stdout.write(renderOne(summary, showing, output));
}
