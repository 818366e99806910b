import { EventEmitter, once } from "node:events";
import type { CoordinatorMessage } from "@espalier/shared/generated/espalier/v1/CoordinatorMessage";
import type { DeviceMessage__Output } from "@espalier/shared/generated/espalier/v1/DeviceMessage";
import type { DeviceSessionHandlers } from "@espalier/shared/generated/espalier/v1/DeviceSession";
import type { EnrollmentHandlers } from "@espalier/shared/generated/espalier/v1/Enrollment";
import type { EnrollRequest__Output } from "@espalier/shared/generated/espalier/v1/EnrollRequest";
import { loadServices } from "@espalier/shared/grpc";
import { Server, ServerCredentials, type ServerDuplexStream, status } from "@grpc/grpc-js";
import { makeAuthority, type TestAuthority } from "./authority.ts";

export const testToken = "the-one-time-token";

/**
 * A stand-in for the coordinator over real gRPC with TLS: it hands out certificates for one token, records what devices
 * say and says what the test tells it to. It decides nothing.
 */
export interface TestCoordinator {
  readonly authority: TestAuthority;
  readonly enrollmentAddress: string;
  readonly sessionAddress: string;
  readonly enrollments: EnrollRequest__Output[];
  /** Everything devices said, of all connections. */
  readonly messages: DeviceMessage__Output[];
  readonly connections: number;
  /** The first message, already said or to come, that the predicate accepts. */
  heard(accepts: (message: DeviceMessage__Output) => boolean): Promise<DeviceMessage__Output>;
  /** Said to each device that connects, after Welcome; null says nothing. */
  vouched: CoordinatorMessage["vouch"];
  /** Says something on the open session. */
  say(message: CoordinatorMessage): void;
  /** Cuts the open sessions. */
  cut(): void;
  stop(): void;
}

type Call = ServerDuplexStream<DeviceMessage__Output, CoordinatorMessage>;

export async function startCoordinator(
  options: { natsUrls?: string[]; acknowledges?: boolean; heartbeatIntervalMs?: number } = {},
): Promise<TestCoordinator> {
  const { natsUrls = ["nats://127.0.0.1:4222"], acknowledges = true, heartbeatIntervalMs = 1_000 } = options;
  const authority = await makeAuthority();
  const { Enrollment, DeviceSession } = loadServices();
  const tls = await authority.server();
  const pair = { private_key: Buffer.from(tls.keyPem), cert_chain: Buffer.from(tls.certificatePem) };
  const roots = Buffer.from(authority.certificatePem);

  const enrollments: EnrollRequest__Output[] = [];
  const messages: DeviceMessage__Output[] = [];
  const news = new EventEmitter();
  const calls = new Set<Call>();
  let connections = 0;
  let sessionAddress = "";

  const enrollment: EnrollmentHandlers = {
    Enroll({ request }, answer) {
      enrollments.push(request);
      if (request.token !== testToken) answer({ code: status.PERMISSION_DENIED, details: "unknown token" });
      else
        authority.sign(request.csrPem, request.requestedName).then(
          (certificatePem) =>
            answer(null, {
              deviceId: request.requestedName,
              certificatePem,
              authorityPem: authority.certificatePem,
              natsUserJwt: "",
              natsUrls,
              sessionAddress,
            }),
          (error) => answer({ code: status.INTERNAL, details: String(error) }),
        );
    },
    Readmit: (_call, answer) => answer({ code: status.PERMISSION_DENIED, details: "nobody consented" }),
  };
  const session: DeviceSessionHandlers = {
    Renew: (_call, answer) => answer({ code: status.UNIMPLEMENTED, details: "nothing expires here" }),
    Connect(call) {
      connections++;
      calls.add(call);
      call.on("data", (message: DeviceMessage__Output) => {
        messages.push(message);
        if (message.hello) {
          call.write({ welcome: { deviceId: "device", heartbeatIntervalMs } });
          if (coordinator.vouched) call.write({ vouch: coordinator.vouched });
        }
        if (message.status && acknowledges) call.write({ reportAck: { reportId: message.status.reportId } });
        news.emit("message");
      });
      const ended = (): void => void calls.delete(call);
      call.on("error", ended).on("cancelled", ended);
      call.on("end", () => {
        ended();
        call.end();
      });
    },
  };

  const enrollmentServer = new Server();
  enrollmentServer.addService(Enrollment.service, enrollment);
  const enrollmentPort = await bind(enrollmentServer, ServerCredentials.createSsl(null, [pair]));
  const sessionServer = new Server();
  sessionServer.addService(DeviceSession.service, session);
  sessionAddress = `localhost:${await bind(sessionServer, ServerCredentials.createSsl(roots, [pair], true))}`;

  const coordinator: TestCoordinator = {
    authority,
    enrollmentAddress: `localhost:${enrollmentPort}`,
    sessionAddress,
    enrollments,
    messages,
    vouched: null,
    get connections() {
      return connections;
    },
    async heard(accepts) {
      for (;;) {
        const found = messages.find(accepts);
        if (found !== undefined) return found;
        await once(news, "message");
      }
    },
    say(message) {
      for (const call of calls) call.write(message);
    },
    cut() {
      for (const call of calls) call.end();
      calls.clear();
    },
    stop() {
      enrollmentServer.forceShutdown();
      sessionServer.forceShutdown();
    },
  };
  return coordinator;
}

function bind(server: Server, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}
