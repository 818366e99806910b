import { inboxPrefix } from "@espalier/shared/nats-names";
import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import type { BrokerUser } from "../identity/broker-identity.ts";

/**
 * The coordinator's connection: for ever, the first attempt too. Pings every 2 s, since with the default of 2 minutes a
 * paused broker hangs the client.
 */
export function connectBroker({
  servers,
  user,
  name,
}: {
  servers: readonly string[];
  user: BrokerUser;
  name: string;
}): Promise<NatsConnection> {
  return connect({
    servers: [...servers],
    name: `espalier ${name}`,
    inboxPrefix: inboxPrefix(name),
    authenticator: jwtAuthenticator(user.jwt, new TextEncoder().encode(user.seed)),
    pingInterval: 2_000,
    maxPingOut: 3,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    waitOnFirstConnect: true,
    ignoreAuthErrorAbort: true,
  });
}
