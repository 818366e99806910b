import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { AgentEndpoints, CoordinatorEndpoints } from "@espalier/shared/contracts/context";
import type { CreateTokenResponse__Output } from "@espalier/shared/generated/espalier/v1/CreateTokenResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { z } from "zod";
import { connect, unary } from "../client.ts";
import { listDevices } from "../commands/device.ts";
import type { AgentSpec } from "./agent-spec.ts";
import { type Binaries, checkoutFolder } from "./binaries.ts";
import { ManagedProcess, type ProcessCommand } from "./managed-process.ts";
import { freeLoopbackUrl, isPrometheusReady, prometheusArguments } from "./prometheus.ts";

export interface StackOptions {
  dataFolder: string;
  binaries: Binaries;
  /** Where the coordinator listens, and as whom devices know it; absent: on loopback, for this machine alone. */
  listenHost?: string;
  advertisedHost?: string;
  /** Ports that must be the same at each start; 0 or absent lets the coordinator choose once and keep them. */
  httpPort?: number;
  onUnexpectedExit(name: string, reason: string, logPath: string): void;
}

/** Espalier on one machine: a coordinator with its embedded broker, Prometheus, one builder, any number of agents. */
export interface Stack {
  readonly endpoints: CoordinatorEndpoints;
  readonly contextPath: string;
  readonly client: OperatorClient;
  /** The Prometheus that scrapes everything; null where `make setup` found none. */
  readonly prometheusUrl: string | null;
  /** Starts an agent, which enrolls itself on its first start, and waits until the coordinator sees it online. */
  startAgent(spec: AgentSpec): Promise<AgentEndpoints>;
  /** Ends everything, agents first. */
  stop(): Promise<void>;
}

const startDeadlineMs = 60_000;

type StartProcess = (name: string, file: string, args: string[], env?: Record<string, string>) => ManagedProcess;

/** Starts coordinator and builder and waits until they can be used. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dataFolder, binaries } = options;
  const logFolder = join(dataFolder, "logs");
  await mkdir(logFolder, { recursive: true });
  const processes: ManagedProcess[] = [];
  const start: StartProcess = (name, file, args, env = {}) => {
    const command: ProcessCommand = { name, file, args, env, logPath: join(logFolder, `${name}.log`) };
    const child = new ManagedProcess(command, (reason) => options.onUnexpectedExit(name, reason, command.logPath));
    processes.push(child);
    return child;
  };
  const stop = async () => {
    for (const child of processes.reverse()) await child.stop();
  };
  try {
    const folder = join(dataFolder, "coordinator");
    const prometheusUrl = binaries.prometheus === undefined ? null : await freeLoopbackUrl();
    const coordinator = start("coordinator", binaries.node, [
      join(checkoutFolder, "coordinator/src/main.ts"),
      ...["--data", folder, "--nats-server", binaries.natsServer],
      ...(prometheusUrl === null ? [] : ["--prometheus-url", prometheusUrl]),
      ...(options.listenHost === undefined ? [] : ["--listen", options.listenHost]),
      ...(options.advertisedHost === undefined ? [] : ["--advertise", options.advertisedHost]),
      ...(options.httpPort === undefined ? [] : ["--http-port", String(options.httpPort)]),
    ]);
    const endpoints = await coordinator.ready(
      () => readOwn(join(folder, "endpoints.json"), CoordinatorEndpoints, coordinator.pid),
      startDeadlineMs,
    );
    if (binaries.prometheus !== undefined && prometheusUrl !== null) {
      const about = { folder: join(dataFolder, "prometheus"), url: prometheusUrl, httpUrl: endpoints.httpUrl };
      const prometheus = start("prometheus", binaries.prometheus, await prometheusArguments(about));
      await prometheus.ready(() => isPrometheusReady(prometheusUrl), startDeadlineMs);
    }
    start("builder", binaries.python, [
      ...["-m", "espalier_builder", "worker", "--nats", endpoints.natsUrls.join(",")],
      ...["--creds", endpoints.builderCredsPath, "--cache", join(dataFolder, "builder-cache")],
    ]);
    const contextPath = join(folder, "context.json");
    const client = connect(contextPath);
    const startAgent = (spec: AgentSpec) => launchAgent(spec, { dataFolder, binaries, endpoints, client, start });
    return {
      endpoints,
      contextPath,
      client,
      prometheusUrl,
      startAgent,
      async stop() {
        client.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface AgentLaunch {
  dataFolder: string;
  binaries: Binaries;
  endpoints: CoordinatorEndpoints;
  client: OperatorClient;
  start: StartProcess;
}

async function launchAgent(spec: AgentSpec, launch: AgentLaunch): Promise<AgentEndpoints> {
  const folder = join(launch.dataFolder, "agents", spec.name);
  await mkdir(folder, { recursive: true });
  const budget = Object.entries(spec.budget).flatMap(([key, value]) => [`--${key}`, value]);
  const labels = Object.entries(spec.labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
  // An agent that has its certificate ignores the token.
  const token = await unary<CreateTokenResponse__Output>((done) =>
    launch.client.createToken({ lifetimeSeconds: 600, labels: spec.labels }, done),
  );
  const args = [
    join(checkoutFolder, "agent/src/main.ts"),
    ...["--data", folder, "--name", spec.name, "--enroll", launch.endpoints.enrollmentAddress],
    ...["--authority", launch.endpoints.authorityPath, "--token", token.token],
    ...budget,
    ...labels,
  ];
  const agent = launch.start(spec.name, launch.binaries.node, args);
  const endpoints = await agent.ready(
    () => readOwn(join(folder, "agent.json"), AgentEndpoints, agent.pid),
    startDeadlineMs,
  );
  // Serving locally doesn't wait for the coordinator; whoever plans next expects the device to be there.
  await agent.ready(async () => {
    const [device] = await listDevices(launch.client, "", endpoints.deviceId);
    return device?.online === true ? true : undefined;
  }, startDeadlineMs);
  return endpoints;
}

/** The file that process `pid` wrote; a file left by an earlier process is not it. */
async function readOwn<Schema extends z.ZodType<{ pid: number }>>(
  path: string,
  schema: Schema,
  pid: number | undefined,
): Promise<z.infer<Schema> | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const value = schema.parse(JSON.parse(text));
  return value.pid === pid ? value : undefined;
}
