import { inboxPrefix } from "@espalier/shared/nats-names";
import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";

export interface BrokerCredentials {
  readonly deviceId: string;
  readonly natsUrls: readonly string[];
  /** Null against a broker without accounts (tests). */
  readonly user: { readonly jwt: string; readonly seed: string } | null;
}

/**
 * Connects for ever: the first attempt too waits for a broker that is not there yet, so an agent that boots offline
 * serves meanwhile. Pings every 2 s, since with the default of 2 minutes a paused node hangs the client.
 */
export function connectBroker({ deviceId, natsUrls, user }: BrokerCredentials): Promise<NatsConnection> {
  return connect({
    servers: [...natsUrls],
    name: `espalier-agent ${deviceId}`,
    inboxPrefix: inboxPrefix(deviceId),
    pingInterval: 2_000,
    maxPingOut: 3,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 1_000,
    waitOnFirstConnect: true,
    ignoreAuthErrorAbort: true,
    ...(user === null ? {} : { authenticator: jwtAuthenticator(user.jwt, new TextEncoder().encode(user.seed)) }),
  });
}
