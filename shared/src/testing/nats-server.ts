import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { natsServerBinary } from "./binaries.ts";

export interface TestNatsServer {
  readonly url: string;
  /** SIGKILLs the server; its data stay. */
  kill(): Promise<void>;
  /** Starts a killed server again on the same port with the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A real nats-server with JetStream on a free loopback port, for tests.
 * @param authorization body of the configuration's `authorization {}` block; empty: anyone may do anything
 */
export async function startNatsServer(authorization = ""): Promise<TestNatsServer> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-nats-"));
  const config = join(folder, "server.conf");
  let port = -1;
  let server: ChildProcess | undefined;

  async function start(): Promise<void> {
    const store = `jetstream { store_dir: ${JSON.stringify(join(folder, "data"))} }`;
    const auth = authorization === "" ? "" : `authorization { ${authorization} }`;
    await writeFile(
      config,
      `host: 127.0.0.1\nport: ${port}\nports_file_dir: ${JSON.stringify(folder)}\n${store}\n${auth}\n`,
    );
    const child = spawn(natsServerBinary(), ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
    server = child;
    const output: string[] = [];
    await new Promise<void>((resolve, reject) => {
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        output.push(text);
        if (output.join("").includes("Server is ready")) resolve();
      });
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`nats-server exited with ${code}: ${output.join("")}`)));
    });
    if (port === -1) port = await readPort(folder, child.pid);
  }

  async function kill(): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, "exit");
    server.kill("SIGKILL");
    await exited;
  }

  await start();
  return {
    url: `nats://127.0.0.1:${port}`,
    kill,
    restart: start,
    async stop() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * nats-server writes `<program>_<pid>.ports` with its real addresses, some time after it says that it is ready: until then
 * the file is missing or half written.
 */
async function readPort(folder: string, pid: number | undefined): Promise<number> {
  for (let tries = 0; ; tries++) {
    try {
      const ports: unknown = JSON.parse(await readFile(join(folder, `nats-server_${pid}.ports`), "utf8"));
      const [url] = (ports as { nats: string[] }).nats;
      return Number(new URL(url ?? "").port);
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(50);
    }
  }
}
