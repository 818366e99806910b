import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createLogger } from "@espalier/shared/logging";
import { natsServerBinary } from "@espalier/shared/testing/binaries";
import type { NatsConnection } from "@nats-io/transport-node";
import { freePort } from "../../data-folder/ports.ts";
import { type EmbeddedIdentity, openEmbeddedIdentity } from "../../identity/broker-identity.ts";
import { connectBroker } from "../connection.ts";
import { type EmbeddedServer, startEmbeddedServer } from "../embedded-server.ts";

export interface TestBroker {
  readonly folder: string;
  readonly port: number;
  readonly identity: EmbeddedIdentity;
  readonly server: EmbeddedServer;
  /** As the coordinator. */
  readonly connection: NatsConnection;
  /** Ends the server and starts another one on the same port and data. */
  restart(): Promise<void>;
}

/** A real embedded nats-server with accounts, ended and removed after the test. */
export async function startTestBroker(t: TestContext): Promise<TestBroker> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-broker-"));
  const identity = await openEmbeddedIdentity(join(folder, "identity"), Date.now);
  const port = await freePort("127.0.0.1");
  const start = (): Promise<EmbeddedServer> =>
    startEmbeddedServer({
      binary: natsServerBinary(),
      folder: join(folder, "nats"),
      host: "127.0.0.1",
      port,
      identity,
      accountJwt: async () => identity.accountJwt({}),
      log: createLogger("test", "silent"),
    });
  const server = await start();
  const connection = await connectBroker({ servers: [server.url], user: identity.coordinator, name: "coordinator" });
  t.after(async () => {
    await connection.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const restart = async (): Promise<void> => {
    await server.stop();
    const again = await start();
    t.after(() => again.stop());
  };
  return { folder, port, identity, server, connection, restart };
}
