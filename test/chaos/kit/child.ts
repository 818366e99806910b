import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { eventually } from "../../eventually.ts";

/** A program that is started, ended in any way and started again. */
export interface Child {
  /** Starts it; resolves with what `ready` found in its log. Throws with the log when it ends before. */
  start(): Promise<RegExpExecArray>;
  /** Ends it. @returns its exit code, null for one that a signal ended */
  end(signal: NodeJS.Signals): Promise<number | null>;
  readonly isRunning: boolean;
  readonly pid: number | undefined;
  /** What it wrote to stderr since its last start. */
  readonly log: string;
}

/** Longer than a coordinator waits for its broker. */
const startsWithinMs = 120_000;

export function childProgram(command: {
  file: string;
  args: readonly string[];
  /** What its log says once it can be used. */
  ready: RegExp;
  env?: NodeJS.ProcessEnv;
}): Child {
  let child: ChildProcess | undefined;
  let log = "";
  const isRunning = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    async start() {
      log = "";
      const started = spawn(command.file, command.args, {
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, ...command.env },
      });
      child = started;
      started.stderr?.setEncoding("utf8").on("data", (text: string) => {
        log += text;
      });
      const found = await eventually(async () => {
        const match = command.ready.exec(log);
        if (match === null && isRunning()) throw new Error(`not ready: ${command.ready}\n${log.slice(-4000)}`);
        return match;
      }, startsWithinMs);
      if (found === null) throw new Error(`ended with ${started.exitCode}:\n${log.slice(-4000)}`);
      return found;
    },
    async end(signal) {
      if (child === undefined || !isRunning()) return child?.exitCode ?? null;
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
      return child.exitCode;
    },
    get isRunning() {
      return isRunning();
    },
    get pid() {
      return child?.pid;
    },
    get log() {
      return log;
    },
  };
}
