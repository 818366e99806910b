import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { nextMessage } from "../next-message.ts";
import type { Loaded, RunRequest, RunResult } from "./protocol.ts";
import type { Subject } from "./subjects.ts";

export interface Child {
  readonly subject: Subject;
  readonly loadMs: number;
  run(request: RunRequest): Promise<RunResult>;
  residentBytes(): Promise<number>;
  close(): Promise<void>;
}

export interface ChildOptions {
  /** Folder of the subjects. */
  readonly work: string;
  readonly threads: number;
  readonly contextTokens: number;
  readonly llamaEntry: string;
}

/** A process of its own with the subject's model loaded, so that memory and threads are the subject's. */
export async function startChild(subject: Subject, options: ChildOptions): Promise<Child> {
  const isOurs = subject.engine === "espalier";
  const script = fileURLToPath(new URL(isOurs ? "./espalier-child.ts" : "./llama-child.ts", import.meta.url));
  const args = [options.work, subject.name, String(options.threads), String(options.contextTokens), options.llamaEntry];
  const child = fork(script, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const { loadMs } = await nextMessage<Loaded>(child, subject.name);
  return {
    subject,
    loadMs,
    run: async (request) => {
      child.send(request);
      return nextMessage<RunResult>(child, subject.name);
    },
    residentBytes: async () => {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN) * 1024;
    },
    close: async () => {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}
