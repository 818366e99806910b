import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AgentEndpoints } from "@espalier/shared/contracts/context";
import { AgentState } from "../../../agent/src/update/agent-state.ts";
import { eventually } from "../../eventually.ts";

const main = fileURLToPath(new URL("../../../agent/src/main.ts", import.meta.url));

/** A real agent process on a data folder that outlives it. */
export interface AgentProcess {
  readonly folder: string;
  /** Starts it; resolves when its API listens. */
  start(): Promise<void>;
  /** Ends it. @returns its exit code, null for one that a signal ended */
  end(signal: NodeJS.Signals): Promise<number | null>;
  readonly isRunning: boolean;
  readonly pid: number | undefined;
  /** What it wrote to stderr since its last start. */
  readonly log: string;
  readonly apiUrl: string;
  /** `state.json` as it is on the disk now. */
  state(): AgentState;
  /** Names in a folder of its data, empty when there is none. */
  list(folder: "chunks" | "variants"): string[];
}

/** @param args of the agent's command line, without `--data` */
export function agentProcess(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): AgentProcess {
  let child: ChildProcess | undefined;
  let log = "";
  let apiUrl = "";
  const isRunning = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    folder,
    async start() {
      log = "";
      const started = spawn(process.execPath, [main, "--data", folder, ...args], {
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, ...env },
      });
      child = started;
      started.stderr?.setEncoding("utf8").on("data", (text: string) => {
        log += text;
      });
      apiUrl = await eventually(async () => {
        if (!isRunning()) return "";
        const endpoints = AgentEndpoints.parse(JSON.parse(readFileSync(join(folder, "agent.json"), "utf8")));
        if (endpoints.pid !== started.pid) throw new Error(`the agent does not listen:\n${log}`);
        return endpoints.apiUrl;
      });
      if (apiUrl === "") throw new Error(`the agent ended with ${started.exitCode}:\n${log}`);
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
    get apiUrl() {
      return apiUrl;
    },
    state: () => AgentState.parse(JSON.parse(readFileSync(join(folder, "state.json"), "utf8"))),
    list: (name) => (existsSync(join(folder, name)) ? readdirSync(join(folder, name)) : []),
  };
}
