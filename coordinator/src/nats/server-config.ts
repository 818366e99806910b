import { join } from "node:path";
import type { EmbeddedIdentity } from "../identity/broker-identity.ts";

export interface ServerConfigInput {
  /** Holds the configuration, the pid file, JWTs and JetStream's data. */
  readonly folder: string;
  readonly host: string;
  readonly port: number;
  readonly identity: Pick<EmbeddedIdentity, "operatorJwt" | "systemAccount" | "systemAccountJwt" | "account">;
  readonly accountJwt: string;
}

/** Object chunks are 512 KiB, jobs with 200 candidates about 60 KiB. */
const maxPayloadBytes = 2 * 1024 * 1024;

/**
 * The embedded server's configuration. `sync_interval: always`: an acknowledged message is on the disk, or a power cut
 * takes it back. The full resolver lets account JWTs (revocations) be updated while it runs.
 */
export function serverConfig({ folder, host, port, identity, accountJwt }: ServerConfigInput): string {
  const path = (name: string) => JSON.stringify(join(folder, name));
  return [
    `server_name: espalier-embedded`,
    `listen: ${JSON.stringify(`${host}:${port}`)}`,
    `max_payload: ${maxPayloadBytes}`,
    `pid_file: ${path("server.pid")}`,
    `ports_file_dir: ${path("ports")}`,
    `log_file: ${path("server.log")}`,
    `logfile_size_limit: 8MB`,
    `jetstream { store_dir: ${path("data")}, sync_interval: always }`,
    `operator: ${identity.operatorJwt}`,
    `system_account: ${identity.systemAccount}`,
    `resolver { type: full, dir: ${path("jwt")}, allow_delete: false }`,
    `resolver_preload {`,
    `  ${identity.systemAccount}: ${identity.systemAccountJwt}`,
    `  ${identity.account}: ${accountJwt}`,
    `}`,
    ``,
  ].join("\n");
}
