import { readFile } from "node:fs/promises";
import { EspalierError } from "@espalier/shared/errors";
import type { Logger } from "@espalier/shared/logging";
import { buildConsumer, streams } from "@espalier/shared/nats-names";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  type BrokerIdentity,
  type EmbeddedIdentity,
  openEmbeddedIdentity,
  openExternalIdentity,
} from "../identity/broker-identity.ts";
import type { BrokerOptions } from "../options.ts";
import { connectBroker } from "./connection.ts";
import { type EmbeddedServer, startEmbeddedServer } from "./embedded-server.ts";
import { ensureTopology, type Topology } from "./topology.ts";

/** The broker as the rest of the coordinator sees it, embedded or not. */
export interface Broker {
  readonly identity: BrokerIdentity;
  readonly connection: NatsConnection;
  readonly urls: readonly string[];
  /** As of the last `ensureTopology`. */
  topology(): Topology;
  ensureTopology(): Promise<void>;
  isConnected(): boolean;
  onReconnect(listener: () => void): void;
  /** Shuts out users whose devices were revoked (`revocations`); null where the account is not ours to change. */
  readonly applyRevocations: (() => Promise<void>) | null;
  /** Builders that wait for a job now. */
  waitingBuilders(): Promise<number>;
  stop(): Promise<void>;
}

export interface BrokerParts {
  readonly options: BrokerOptions;
  /** Server data; may be deleted while the coordinator is down. */
  readonly serverFolder: string;
  readonly identityFolder: string;
  readonly listenHost: string;
  readonly port: number;
  /** Host in `urls` of the embedded server. */
  readonly advertisedHost: string;
  /** NATS public key -> second since 1970 up to which its JWTs are void. */
  readonly revocations: () => Promise<Record<string, number>>;
  readonly now: () => number;
  readonly log: Logger;
}

/** Starts or finds the broker, connects and makes sure that streams and buckets are there. */
export async function startBroker(parts: BrokerParts): Promise<Broker> {
  const { options } = parts;
  if (options.kind === "external") {
    const identity = await openExternalIdentity({
      folder: parts.identityFolder,
      signingSeed: (await readSeed(options.signingKeyPath)).trim(),
      account: options.account,
      now: parts.now,
    });
    return join({ ...parts, identity, servers: options.urls, urls: options.urls, embedded: null });
  }
  const identity = await openEmbeddedIdentity(parts.identityFolder, parts.now);
  const server = await startEmbeddedServer({
    binary: options.binary,
    folder: parts.serverFolder,
    host: parts.listenHost,
    port: parts.port,
    identity,
    accountJwt: async () => identity.accountJwt(await parts.revocations()),
    log: parts.log,
  });
  const urls = [`nats://${parts.advertisedHost}:${parts.port}`];
  return join({ ...parts, identity, servers: [server.url], urls, embedded: { server, identity } });
}

async function join(
  parts: Pick<BrokerParts, "revocations"> & {
    identity: BrokerIdentity;
    servers: readonly string[];
    urls: readonly string[];
    embedded: { server: EmbeddedServer; identity: EmbeddedIdentity } | null;
  },
): Promise<Broker> {
  const { identity, embedded } = parts;
  const connection = await connectBroker({ servers: parts.servers, user: identity.coordinator, name: "coordinator" });
  const listeners: (() => void)[] = [];
  let isConnected = true;
  void followStatus(connection, (connected) => {
    isConnected = connected;
    if (connected) for (const listener of listeners) listener();
  });
  let topology = await ensureTopology(connection);
  return {
    identity,
    connection,
    urls: parts.urls,
    topology: () => topology,
    async ensureTopology() {
      topology = await ensureTopology(connection);
    },
    isConnected: () => isConnected && !connection.isClosed(),
    onReconnect: (listener) => listeners.push(listener),
    applyRevocations:
      embedded === null
        ? null
        : async () => embedded.server.updateAccount(embedded.identity.accountJwt(await parts.revocations())),
    async waitingBuilders() {
      const manager = await jetstreamManager(connection);
      return (await manager.consumers.info(streams.buildJobs, buildConsumer)).num_waiting;
    },
    async stop() {
      await connection.close();
      await embedded?.server.stop();
    },
  };
}

async function followStatus(connection: NatsConnection, tell: (connected: boolean) => void): Promise<void> {
  for await (const { type } of connection.status()) {
    if (type === "disconnect") tell(false);
    if (type === "reconnect") tell(true);
  }
}

function readSeed(path: string): Promise<string> {
  return readFile(path, "utf8").catch((cause: unknown) => {
    throw new EspalierError("nats.signing-key-missing", `can't read the NATS signing key ${path}`, {
      fields: { path },
      remedy: "name the file that holds the seed (SA...) with --nats-signing-key",
      cause,
    });
  });
}
