import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { backoffDelayMs } from "@espalier/shared/backoff";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import type { Logger } from "@espalier/shared/logging";
import type { EmbeddedIdentity } from "../identity/broker-identity.ts";
import { connectBroker } from "./connection.ts";
import { endLeftoverServer } from "./leftover-server.ts";
import { serverConfig } from "./server-config.ts";

/** nats-server as a child process: the broker of development mode. */
export interface EmbeddedServer {
  readonly url: string;
  /** Makes the running server use another JWT of our account, e.g. with a further revocation; it cuts those users off. */
  updateAccount(accountJwt: string): Promise<void>;
  stop(): Promise<void>;
}

/** A broker restores its streams first, which takes long on a machine that has much else to do. */
const startDeadlineMs = 60_000;
const stopGraceMs = 5_000;
const restartBackoff = { firstMs: 100, maxMs: 5_000, factor: 2 };
/** A server that ran this long starts its backoff anew. */
const stableMs = 30_000;

/**
 * Starts the server and keeps it running until `stop`.
 * @throws {EspalierError} `nats.binary`, `nats.start-failed` (with the end of its log)
 */
export async function startEmbeddedServer(options: {
  binary: string;
  folder: string;
  host: string;
  port: number;
  identity: EmbeddedIdentity;
  /** The account JWT to start with; asked again at each restart. */
  accountJwt: () => Promise<string>;
  log: Logger;
}): Promise<EmbeddedServer> {
  const { binary, folder, host, port, identity, log } = options;
  const configPath = join(folder, "server.conf");
  const url = `nats://${host}:${port}`;
  let child: ChildProcess | null = null;
  let stopping = false;

  async function launch(): Promise<ChildProcess> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rm(join(folder, "ports"), { recursive: true, force: true });
    await mkdir(join(folder, "ports"));
    const accountJwt = await options.accountJwt();
    await writeFile(configPath, serverConfig({ folder, host, port, identity, accountJwt }), { mode: 0o600 });
    await chmod(configPath, 0o600);
    const started = spawn(binary, ["-c", configPath], { stdio: "ignore" });
    await once(started, "spawn").catch((cause: unknown) => {
      throw new EspalierError("nats.binary", `can't run ${binary}: ${messageOf(cause)}`, {
        fields: { binary },
        remedy: "name one with --nats-server, or let `make setup` unpack one",
        cause,
      });
    });
    await waitUntilListening(started, folder);
    return started;
  }

  function supervise(current: ChildProcess, attempt: number): void {
    const startedAtMs = performance.now();
    child = current;
    current.once("exit", (code, signal) => {
      if (stopping) return;
      log.error({ code, signal }, "nats-server ended; starting it again");
      void restart(performance.now() - startedAtMs > stableMs ? 1 : attempt + 1);
    });
    // It may have ended between its first answer and the handler above.
    if (current.exitCode !== null || current.signalCode !== null)
      current.emit("exit", current.exitCode, current.signalCode);
  }

  async function restart(attempt: number): Promise<void> {
    for (let tries = attempt; !stopping; tries += 1) {
      await sleep(backoffDelayMs(restartBackoff, tries, Math.random()));
      if (stopping) return;
      try {
        const again = await launch();
        if (stopping) again.kill("SIGKILL");
        else supervise(again, tries);
        return;
      } catch (error) {
        log.error({ err: error }, "nats-server doesn't start");
      }
    }
  }

  await endLeftoverServer(join(folder, "server.pid"), configPath);
  supervise(await launch(), 0);
  return {
    url,
    updateAccount: (accountJwt) => pushAccount({ url, identity, accountJwt }),
    async stop() {
      stopping = true;
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child?.kill("SIGKILL"), stopGraceMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** The server writes its ports file once it listens; that a port answers would prove nothing, it may be another's. */
async function waitUntilListening(child: ChildProcess, folder: string): Promise<void> {
  const until = performance.now() + startDeadlineMs;
  while (child.exitCode === null && child.signalCode === null && performance.now() < until) {
    const names = await readdir(join(folder, "ports"));
    if (names.some((name) => name.endsWith(`_${child.pid}.ports`))) return;
    await sleep(20);
  }
  child.kill("SIGKILL");
  const logPath = join(folder, "server.log");
  const end = (await readFile(logPath, "utf8").catch(() => "")).trimEnd().split("\n").slice(-5).join("\n");
  throw new EspalierError("nats.start-failed", `nats-server doesn't start:\n${end}`, {
    fields: { logPath },
    remedy: `read ${logPath}; if its port is taken, end the program that holds it`,
  });
}

async function pushAccount({
  url,
  identity,
  accountJwt,
}: {
  url: string;
  identity: EmbeddedIdentity;
  accountJwt: string;
}): Promise<void> {
  const connection = await connectBroker({ servers: [url], user: identity.systemUser, name: "system" });
  try {
    const answer = await connection.request("$SYS.REQ.CLAIMS.UPDATE", accountJwt, { timeout: 5_000 });
    const { error } = answer.json<{ error?: { description?: string } }>();
    if (error !== undefined) {
      throw new EspalierError("nats.account-refused", `the broker refused the account: ${error.description ?? "?"}`);
    }
  } finally {
    await connection.close();
  }
}
