import { inboxPrefix } from "@espalier/shared/nats-names";
import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";

export interface BrokerCredentials {
  readonly deviceId: string;
  readonly natsUrls: readonly string[];
  /** Null against a broker without accounts (tests). The JWT is asked for at each connection: it is renewed. */
  readonly user: { readonly jwt: () => string; readonly seed: string } | null;
}

/**
 * Connects for ever: the first attempt too waits for a broker that is not there yet, so an agent that boots offline
 * serves meanwhile. A silent broker is given up after 35 s: with the default of 2 minutes a paused node hangs the client,
 * while the answer to a ping may wait behind half a megabyte at the least rate that downloads accept
 * (download/artifact-bucket.ts).
 */
export function connectBroker({ deviceId, natsUrls, user }: BrokerCredentials): Promise<NatsConnection> {
  return connect({
    servers: [...natsUrls],
    name: `espalier-agent ${deviceId}`,
    inboxPrefix: inboxPrefix(deviceId),
    pingInterval: 5_000,
    maxPingOut: 6,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 1_000,
    waitOnFirstConnect: true,
    ignoreAuthErrorAbort: true,
    ...(user === null ? {} : { authenticator: jwtAuthenticator(user.jwt, new TextEncoder().encode(user.seed)) }),
  });
}
