import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { EspalierError } from "@espalier/shared/errors";

export interface ProcessCommand {
  name: string;
  file: string;
  args: string[];
  logPath: string;
  env?: Record<string, string>;
}

/** How long a process may take to end by itself after SIGTERM. */
const graceMs = 15_000;

/** A child process of ours: its output goes to a log file, it is ended by its own pid only, and never twice. */
export class ManagedProcess {
  readonly name: string;
  readonly logPath: string;
  readonly #child: ChildProcess;
  readonly #exit: Promise<void>;
  #stopping = false;

  constructor(command: ProcessCommand, onUnexpectedExit: (reason: string) => void) {
    this.name = command.name;
    this.logPath = command.logPath;
    const log = createWriteStream(command.logPath, { flags: "a" });
    this.#child = spawn(command.file, command.args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...command.env },
    });
    this.#child.stdout?.pipe(log, { end: false });
    this.#child.stderr?.pipe(log, { end: false });
    this.#exit = new Promise((resolve) => {
      const ended = (reason: string) => {
        log.end();
        resolve();
        if (!this.#stopping) onUnexpectedExit(reason);
      };
      this.#child.once("exit", (code, signal) => ended(signal === null ? `exit code ${code}` : `signal ${signal}`));
      this.#child.once("error", (error) => ended(error.message));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  /** Asks it to end, and ends it after a grace period. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (!this.running) return;
    this.#child.kill("SIGTERM");
    await Promise.race([this.#exit, sleep(graceMs, undefined, { ref: false })]);
    if (this.running) this.#child.kill("SIGKILL");
    await this.#exit;
  }

  /**
   * Resolves with the first value that `look` finds.
   * @throws {EspalierError} `process.ended` when the process ends before, `process.not-ready` after the deadline
   */
  async ready<Value>(look: () => Promise<Value | undefined>, deadlineMs: number): Promise<Value> {
    const until = performance.now() + deadlineMs;
    for (;;) {
      const value = await look();
      if (value !== undefined) return value;
      const fields = { process: this.name, log: this.logPath };
      if (!this.running) {
        throw new EspalierError("process.ended", `${this.name} ended while starting`, {
          fields,
          remedy: `read ${this.logPath}`,
        });
      }
      if (performance.now() > until) {
        throw new EspalierError("process.not-ready", `${this.name} was not ready within ${deadlineMs / 1000} s`, {
          fields,
          remedy: `read ${this.logPath}`,
        });
      }
      await Promise.race([sleep(100), this.#exit]);
    }
  }
}
