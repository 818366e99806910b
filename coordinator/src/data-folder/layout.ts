import { publishedFiles } from "./published-files.ts";

/** Names in a data folder. */
export const dataNames = {
  database: "coordinator.db",
  blobs: "blobs",
  authority: "ca",
  brokerIdentity: "nats-identity",
  ports: "ports.json",
  lock: "lock.db",
  broker: "nats",
} as const;

/** What devices, operators and builders know this coordinator by: without it a restored one is a stranger to them. */
export const identityNames: readonly string[] = [dataNames.authority, dataNames.brokerIdentity, dataNames.ports];

/** What each start makes anew from the rest. A backup leaves it out. */
export const derivedNames: readonly string[] = [dataNames.lock, dataNames.broker, ...Object.values(publishedFiles)];
