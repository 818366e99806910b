import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AgentState } from "../../../agent/src/update/agent-state.ts";
import { type Child, childProgram } from "./child.ts";

const main = fileURLToPath(new URL("../../../agent/src/main.ts", import.meta.url));

/** A real agent process on a data folder that outlives it. */
export interface AgentProcess extends Pick<Child, "end" | "isRunning" | "pid" | "log"> {
  readonly folder: string;
  start(): Promise<void>;
  readonly apiUrl: string;
  /** `state.json` as it is on the disk now. */
  state(): AgentState;
  /** Names in a folder of its data, empty when there is none. */
  list(folder: "chunks" | "variants"): string[];
}

/** @param args of the agent's command line, without `--data` */
export function agentProcess(folder: string, args: readonly string[]): AgentProcess {
  // Its log tells the address also where the disk is too full for agent.json.
  const ready = /"apiUrl":"([^"]+)".*"agent is up"/;
  const child = childProgram({ file: process.execPath, args: [main, "--data", folder, ...args], ready });
  let apiUrl = "";
  return {
    folder,
    async start() {
      apiUrl = (await child.start())[1] ?? "";
    },
    end: child.end,
    get isRunning() {
      return child.isRunning;
    },
    get pid() {
      return child.pid;
    },
    get log() {
      return child.log;
    },
    get apiUrl() {
      return apiUrl;
    },
    state: () => AgentState.parse(JSON.parse(readFileSync(join(folder, "state.json"), "utf8"))),
    list: (name) => (existsSync(join(folder, name)) ? readdirSync(join(folder, name)) : []),
  };
}
