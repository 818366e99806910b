import type { NatsConnection } from "@nats-io/transport-node";

/** A broker connection that may take for ever to come: an agent that boots offline serves meanwhile. */
export interface LazyBroker {
  /** What `make` builds on the connection, made once. Waits for the connection or the signal. */
  get<Client>(signal: AbortSignal, make: (connection: NatsConnection) => Client): Promise<Client>;
  /** Runs once connected; resolves at once when the broker never came. */
  whenConnected(run: (connection: NatsConnection) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

export function createLazyBroker(connecting: Promise<NatsConnection>, closing: AbortSignal): LazyBroker {
  const clients = new WeakMap<object, unknown>();
  const connected = (signal: AbortSignal): Promise<NatsConnection> =>
    new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason);
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort, { once: true });
      connecting.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  // A connection that comes after the agent was told to stop is closed, so that the process can end.
  connecting.then(
    (connection) => (closing.aborted ? connection.close() : undefined),
    () => undefined,
  );
  return {
    async get<Client>(signal: AbortSignal, make: (connection: NatsConnection) => Client): Promise<Client> {
      const connection = await connected(signal);
      if (!clients.has(make)) clients.set(make, make(connection));
      return clients.get(make) as Client;
    },
    async whenConnected(run) {
      const connection = await connected(closing).catch(() => null);
      if (connection !== null) await run(connection);
    },
    async close() {
      const connection = await connected(AbortSignal.timeout(0)).catch(() => null);
      await connection?.close();
    },
  };
}
