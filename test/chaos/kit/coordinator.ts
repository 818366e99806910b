import { rmSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { connect, unary } from "@espalier/cli/client";
import { checkoutFolder, findBinaries } from "@espalier/cli/up/binaries";
import { CoordinatorEndpoints } from "@espalier/shared/contracts/context";
import type { CreateTokenResponse__Output } from "@espalier/shared/generated/espalier/v1/CreateTokenResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { type AgentProcess, agentProcess } from "./agent-process.ts";
import { type Child, childProgram } from "./child.ts";

/** A real coordinator process with its broker, and agents that join it. */
export interface CoordinatorProcess {
  readonly coordinator: Child;
  /** For what else belongs to it, e.g. a builder's cache; removed at the end. */
  readonly root: string;
  readonly folder: string;
  readonly endpoints: CoordinatorEndpoints;
  readonly authorityPem: string;
  /** A new connection each time: a coordinator that was killed is another one. */
  client(): OperatorClient;
  createToken(request?: { lifetimeSeconds?: number; labels?: Record<string, string> }): Promise<string>;
  startAgent(name: string): Promise<AgentProcess>;
  /** SIGKILLs the broker, which the coordinator starts again. @param losingData deletes all that it stored before */
  killBroker(options: { losingData: boolean }): Promise<void>;
  /** Read off the database, so also while no coordinator runs. */
  query(sql: string, ...values: (string | number)[]): Record<string, unknown>[];
  /** Ends what the test started beside it, in reverse order, before the coordinator. */
  defer(end: () => Promise<unknown>): void;
}

/** A test, or a file of tests that share what was started. */
export interface Ending {
  after(end: () => Promise<void>): void;
}

export async function startCoordinator(t: Ending): Promise<CoordinatorProcess> {
  const { node, natsServer } = findBinaries();
  const root = await mkdtemp(join(tmpdir(), "espalier-chaos-"));
  const folder = join(root, "coordinator");
  const coordinator = childProgram({
    file: node,
    args: [join(checkoutFolder, "coordinator/src/main.ts"), "--data", folder, "--nats-server", natsServer],
    ready: /"the coordinator is ready"/,
  });
  const ending: (() => Promise<unknown>)[] = [];
  t.after(async () => {
    for (const end of ending.reverse()) await end();
    await coordinator.end("SIGTERM");
    await rm(root, { recursive: true, force: true });
  });
  await coordinator.start();
  const endpoints = CoordinatorEndpoints.parse(JSON.parse(await readFile(join(folder, "endpoints.json"), "utf8")));

  let open: OperatorClient | undefined;
  ending.push(async () => open?.close());
  const client = (): OperatorClient => {
    open?.close();
    open = connect(join(folder, "context.json"));
    return open;
  };
  const createToken: CoordinatorProcess["createToken"] = async ({ lifetimeSeconds = 600, labels = {} } = {}) => {
    const request = { lifetimeSeconds, labels };
    return (await unary<CreateTokenResponse__Output>((done) => client().createToken(request, done))).token;
  };
  return {
    coordinator,
    root,
    folder,
    endpoints,
    authorityPem: await readFile(endpoints.authorityPath, "utf8"),
    client,
    createToken,
    defer: (end) => void ending.push(end),
    async startAgent(name) {
      const token = await createToken({ labels: { device: name } });
      const enrollment = ["--enroll", endpoints.enrollmentAddress, "--authority", endpoints.authorityPath];
      const agent = agentProcess(join(root, name), [...enrollment, "--token", token, "--name", name, "--threads", "1"]);
      ending.push(() => agent.end("SIGKILL"));
      await agent.start();
      return agent;
    },
    async killBroker({ losingData }) {
      const pid = Number(await readFile(join(folder, "nats/server.pid"), "utf8"));
      if (losingData) rmSync(join(folder, "nats/data"), { recursive: true, force: true });
      process.kill(pid, "SIGKILL");
    },
    query(sql, ...values) {
      const database = new DatabaseSync(join(folder, "coordinator.db"), { readOnly: true, timeout: 5_000 });
      try {
        return database.prepare(sql).all(...values);
      } finally {
        database.close();
      }
    },
  };
}
