import { EspalierError } from "@espalier/shared/errors";
import type { DeviceSessionHandlers } from "@espalier/shared/generated/espalier/v1/DeviceSession";
import type { EnrollmentHandlers } from "@espalier/shared/generated/espalier/v1/Enrollment";
import type { OperatorHandlers } from "@espalier/shared/generated/espalier/v1/Operator";
import { loadServices } from "@espalier/shared/grpc";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { KeyedCertificate } from "../identity/authority.ts";

/** A listening gRPC server. */
export interface GrpcServer {
  /** host:port */
  readonly address: string;
  readonly port: number;
  stop(): void;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly serverCertificate: KeyedCertificate;
}

/** Uploads come in pieces of 1 MiB, documents of devices are far smaller. */
const maxReceivedBytes = 8 * 1024 * 1024;
const maxSentBytes = 64 * 1024 * 1024;
const enrollmentReceivedBytes = 64 * 1024;

/** The enrollment port: server TLS, no client certificate, small messages only. */
export function serveEnrollment(handlers: EnrollmentHandlers, options: ListenOptions): Promise<GrpcServer> {
  const server = new Server({
    "grpc.max_receive_message_length": enrollmentReceivedBytes,
    "grpc.max_concurrent_streams": 4,
  });
  server.addService(loadServices().Enrollment.service, handlers);
  return listen(server, ServerCredentials.createSsl(null, [pair(options)], false), options);
}

/** The mutual-TLS port: nobody gets as far as a handler without a certificate of our authority. */
export function serveMembers(
  handlers: { session: DeviceSessionHandlers; operator: OperatorHandlers },
  options: ListenOptions & { readonly authorityPem: string },
): Promise<GrpcServer> {
  const server = new Server({
    "grpc.max_receive_message_length": maxReceivedBytes,
    "grpc.max_send_message_length": maxSentBytes,
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
  });
  const { DeviceSession, Operator } = loadServices();
  server.addService(DeviceSession.service, handlers.session);
  server.addService(Operator.service, handlers.operator);
  const authority = Buffer.from(options.authorityPem);
  return listen(server, ServerCredentials.createSsl(authority, [pair(options)], true), options);
}

function pair({ serverCertificate }: ListenOptions) {
  return {
    cert_chain: Buffer.from(serverCertificate.certificatePem),
    private_key: Buffer.from(serverCertificate.keyPem),
  };
}

function listen(server: Server, credentials: ServerCredentials, { host, port }: ListenOptions): Promise<GrpcServer> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (cause, boundPort) => {
      if (cause === null) {
        resolve({ address: `${host}:${boundPort}`, port: boundPort, stop: () => server.forceShutdown() });
        return;
      }
      reject(
        new EspalierError("listen.failed", `can't listen on ${host}:${port}: ${cause.message}`, {
          fields: { host, port },
          remedy: "end the program that holds the port, or choose another port",
          cause,
        }),
      );
    });
  });
}
