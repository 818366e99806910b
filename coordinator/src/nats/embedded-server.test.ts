import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "@espalier/shared/errors";
import { createLogger } from "@espalier/shared/logging";
import { natsServerBinary } from "@espalier/shared/testing/binaries";
import { createUser } from "@nats-io/nkeys";
import { freePort } from "../data-folder/ports.ts";
import { connectBroker } from "./connection.ts";
import { startEmbeddedServer } from "./embedded-server.ts";
import { endLeftoverServer } from "./leftover-server.ts";
import { startTestBroker } from "./testing/test-broker.ts";
import { ensureTopology } from "./topology.ts";

test("a broker that dies is started again on its port, and what was acknowledged is still there", async (t) => {
  const broker = await startTestBroker(t);
  const { assignments } = await ensureTopology(broker.connection);
  await assignments.put("dev-1", "kept");
  const reconnected = (async () => {
    for await (const status of broker.connection.status()) if (status.type === "reconnect") return;
  })();
  process.kill(Number(await readFile(join(broker.folder, "nats/server.pid"), "utf8")), "SIGKILL");
  await reconnected;
  const entry = await assignments.get("dev-1");
  assert.equal(entry?.string(), "kept");
});

test("a revoked device is cut off at once and others are not", async (t) => {
  const { identity, server, connection } = await startTestBroker(t);
  const deviceUser = (id: string) => {
    const pair = createUser();
    const publicKey = pair.getPublicKey();
    const user = { jwt: identity.deviceJwt(id, publicKey), seed: new TextDecoder().decode(pair.getSeed()) };
    return { publicKey, user };
  };
  const [lost, kept] = [deviceUser("dev-lost"), deviceUser("dev-kept")];
  const lostConnection = await connectBroker({ servers: [server.url], user: lost.user, name: "dev-lost" });
  const keptConnection = await connectBroker({ servers: [server.url], user: kept.user, name: "dev-kept" });
  t.after(() => Promise.all([lostConnection.close(), keptConnection.close()]));
  const cut = (async () => {
    for await (const status of lostConnection.status()) if (status.type === "disconnect") return;
  })();
  await server.updateAccount(identity.accountJwt({ [lost.publicKey]: Math.floor(Date.now() / 1000) + 1 }));
  await cut;
  await keptConnection.flush();
  await connection.flush();
});

test("a missing binary and a taken port are named with the remedy", async (t) => {
  const broker = await startTestBroker(t);
  const start = (binary: string) =>
    startEmbeddedServer({
      binary,
      folder: join(broker.folder, "second"),
      host: "127.0.0.1",
      port: broker.port,
      identity: broker.identity,
      accountJwt: async () => broker.identity.accountJwt({}),
      log: createLogger("test", "silent"),
    });
  await assert.rejects(start("/nowhere/nats-server"), (error) => hasCode(error, "nats.binary"));
  await assert.rejects(start(natsServerBinary()), (error) => hasCode(error, "nats.start-failed"));
});

test("a leftover server is ended, a process that merely has its pid is not", async (t) => {
  const broker = await startTestBroker(t);
  const config = join(broker.folder, "leftover.conf");
  const pidPath = join(broker.folder, "leftover.pid");
  await writeFile(config, `listen: "127.0.0.1:${await freePort("127.0.0.1")}"\n`);
  const leftover = spawn(natsServerBinary(), ["-c", config], { stdio: "ignore" });
  const bystander = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  t.after(() => bystander.kill("SIGKILL"));
  await Promise.all([once(leftover, "spawn"), once(bystander, "spawn")]);
  await writeFile(pidPath, `${bystander.pid}`);
  await endLeftoverServer(pidPath, config);
  assert.equal(bystander.exitCode ?? bystander.signalCode, null);
  await writeFile(pidPath, `${leftover.pid}`);
  const ended = once(leftover, "exit");
  await endLeftoverServer(pidPath, config);
  await ended;
});
