import { type ChildProcess, fork, spawn } from "node:child_process";
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
  /** Processor time that it has taken since it started, in steps of 10 ms. */
  processorMs(): Promise<number>;
  close(): Promise<void>;
}

export interface ChildOptions {
  /** Folder of the subjects. */
  readonly work: string;
  readonly threads: number;
  readonly contextTokens: number;
  readonly llamaEntry: string;
  readonly python: string;
  /** Folders of Python packages. */
  readonly ikFolder: string;
  readonly openvinoFolder: string;
  /** Of the builder's benchmarks. */
  readonly benchFolder: string;
}

/** A process of its own with the subject's model loaded, so that memory and threads are the subject's. */
export async function startChild(subject: Subject, options: ChildOptions): Promise<Child> {
  const child = startProcess(subject, options);
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
    processorMs: async () => {
      const fields = (await readFile(`/proc/${child.pid}/stat`, "utf8")).replace(/^.*\) /s, "").split(" ");
      // proc(5): utime and stime, in hundredths of a second on Linux's common architectures; the name and pid are cut off.
      return 10 * (Number(fields[11]) + Number(fields[12]));
    },
    close: async () => {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function startProcess(subject: Subject, options: ChildOptions): ChildProcess {
  const { work, threads, contextTokens, llamaEntry, python, ikFolder, openvinoFolder, benchFolder } = options;
  const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const sizes = [String(threads), String(contextTokens)];
  switch (subject.engine) {
    case "ik_llama.cpp": {
      const env = { ...process.env, PYTHONPATH: ikFolder };
      const args = [script("./ik_child.py"), subject.path, ...sizes];
      // It tells its progress on stderr.
      return spawn(python, args, { env, stdio: ["ignore", "inherit", "ignore", "ipc"] });
    }
    case "openvino": {
      const env = { ...process.env, PYTHONPATH: openvinoFolder };
      const args = [script("./openvino_child.py"), benchFolder, subject.path, String(threads)];
      return spawn(python, args, { ...forked, env });
    }
    case "llama.cpp":
      return fork(script("./llama-child.ts"), [work, subject.name, ...sizes, llamaEntry], forked);
    case "espalier":
    case "espalier, stock kernels":
      return fork(script("./espalier-child.ts"), [work, subject.name, ...sizes], forked);
  }
}

const forked = { stdio: ["ignore", "inherit", "inherit", "ipc"] } satisfies Parameters<typeof fork>[2];
