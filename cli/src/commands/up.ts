import { once } from "node:events";
import { resolve } from "node:path";
import type { Command } from "commander";
import { addExamples } from "../help/examples.ts";
import { defaultUpFolder } from "../session.ts";
import { type AgentSpec, collectAgents } from "../up/agent-spec.ts";
import { findBinaries } from "../up/binaries.ts";
import { startStack } from "../up/stack.ts";

interface UpOptions {
  data: string;
  agent: AgentSpec[];
  listen: string;
  advertise?: string;
  httpPort?: number;
}

export function upCommand(program: Command): void {
  const up = program
    .command("up")
    .description("run everything on this machine: coordinator, broker, builder, Prometheus and agents; Ctrl-C ends it")
    .option("--data <folder>", "where it keeps its state", defaultUpFolder)
    .option(
      "--agent <spec>",
      "an agent to start (repeatable), e.g. name=edge,threads=1,memory=300MiB,cpu-quota=0.5,label.tier=small",
      collectAgents,
      [],
    )
    .option("--listen <host>", "address to listen on; 0.0.0.0 lets other machines join", "127.0.0.1")
    .option("--advertise <host>", "name or address by which devices reach this machine (default: that of --listen)")
    .option("--http-port <port>", "port of metrics and console (default: chosen once, then kept)", Number)
    .action(async (options: UpOptions) => {
      const say = (text: string) => process.stderr.write(`${text}\n`);
      const interrupted = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
      const stack = await startStack({
        dataFolder: resolve(options.data),
        binaries: findBinaries(),
        listenHost: options.listen,
        ...(options.advertise === undefined ? {} : { advertisedHost: options.advertise }),
        ...(options.httpPort === undefined ? {} : { httpPort: options.httpPort }),
        onUnexpectedExit: (name, reason, logPath) => say(`${name} ended: ${reason}; see ${logPath}`),
      });
      try {
        say(`console and metrics  ${stack.endpoints.httpUrl}`);
        if (stack.prometheusUrl !== null) say(`prometheus           ${stack.prometheusUrl}`);
        say(`operator context     ${stack.contextPath}`);
        const agents = options.agent.length > 0 ? options.agent : [{ name: "local", labels: {}, budget: {} }];
        for (const spec of agents) say(`agent ${spec.name.padEnd(14)} ${(await stack.startAgent(spec)).apiUrl}/v1`);
        say("next: espalier model import <folder or .gguf>; espalier plan -f rollout.yaml; Ctrl-C ends everything");
        await interrupted;
      } finally {
        say("stopping");
        await stack.stop();
      }
    });
  addExamples(up, [
    ["espalier up", "a coordinator, a builder and one agent, until Ctrl-C; the next start finds everything again"],
    ["espalier up --agent name=box,threads=2 --agent name=pi,threads=1,cpu-quota=0.5", "two devices of different size"],
  ]);
}
