import { setTimeout } from "node:timers/promises";
import { type BackoffPolicy, backoffDelayMs } from "@espalier/shared/backoff";
import { messageOf } from "@espalier/shared/errors";
import type { CoordinatorMessage__Output } from "@espalier/shared/generated/espalier/v1/CoordinatorMessage";
import type { DeviceMessage } from "@espalier/shared/generated/espalier/v1/DeviceMessage";
import type { MeasureCommand__Output } from "@espalier/shared/generated/espalier/v1/MeasureCommand";
import type { Vouch__Output } from "@espalier/shared/generated/espalier/v1/Vouch";
import { loadServices, tlsChannelOptions } from "@espalier/shared/grpc";
import { type ChannelCredentials, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import type { Identity } from "../enroll/identity.ts";
import { isFinal, type MeasureUpdate } from "../measure/measure-update.ts";
import type { LogRing } from "./log-ring.ts";
import { type HelloFacts, helloMessage, logsMessage, measurementMessage, reportMessage } from "./messages.ts";
import type { ReportOutbox } from "./report-outbox.ts";

export interface SessionDeps {
  /** Asked before each connection: a renewal may have replaced it. */
  readonly identity: () => Pick<Identity, "sessionAddress" | "keyPem" | "certificatePem" | "authorityPem">;
  readonly hello: () => Promise<HelloFacts>;
  readonly outbox: ReportOutbox;
  readonly onVouch: (vouch: Vouch__Output) => Promise<void>;
  readonly onMeasure: (command: MeasureCommand__Output) => void;
  readonly onCancelMeasurement: (commandId: string) => void;
  /** The agent's own log, of which an operator may read the newest lines. */
  readonly logs: Pick<LogRing, "read">;
  readonly backoff: BackoffPolicy;
  readonly clock: { now(): number };
  readonly random: () => number;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

export interface Session {
  /** Keeps a session open until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** Sends now. A final update is also sent again after each reconnect: a stream may die with it unread. */
  sendMeasurement(update: MeasureUpdate): void;
}

const keptResults = 4;

type Stream = ClientDuplexStream<DeviceMessage, CoordinatorMessage__Output>;

/**
 * The device's long-lived session. INVARIANTS: Hello is the first message of each connection; nothing else is sent
 * before Welcome; after Welcome all unacknowledged reports and the last final measurement results are sent again
 * (the receiver knows repeats by their ids).
 */
export function createSession(deps: SessionDeps): Session {
  const { outbox, log } = deps;
  const results: MeasureUpdate[] = [];
  let welcomed: Stream | null = null;

  outbox.onAdded = (report) => welcomed?.write(reportMessage(report));

  return {
    sendMeasurement(update) {
      if (isFinal(update)) results.splice(0, results.length, ...results.slice(1 - keptResults), update);
      welcomed?.write(measurementMessage(update));
    },
    async run(signal) {
      const { DeviceSession } = loadServices();
      let attempt = 0;
      while (!signal.aborted) {
        const identity = deps.identity();
        const options = { ...channelOptions, ...tlsChannelOptions(identity.sessionAddress) };
        const client = new DeviceSession(identity.sessionAddress, channelCredentials(identity), options);
        const problem = await connectOnce(client.Connect(), signal).finally(() => client.close());
        if (signal.aborted) break;
        attempt = problem.wasWelcomed ? 1 : attempt + 1;
        const waitMs = backoffDelayMs(deps.backoff, attempt, deps.random());
        log.warn({ problem: problem.message, waitMs: Math.round(waitMs) }, "session ended; connecting again");
        await setTimeout(waitMs, undefined, { signal }).catch(() => undefined);
      }
    },
  };

  /** One connection, from Hello to its end. */
  async function connectOnce(stream: Stream, signal: AbortSignal): Promise<{ message: string; wasWelcomed: boolean }> {
    let heartbeat: NodeJS.Timeout | undefined;
    let wasWelcomed = false;
    const abort = (): void => stream.cancel();
    signal.addEventListener("abort", abort, { once: true });
    try {
      const ended = new Promise<string>((resolve) => {
        stream.on("error", (error) => resolve(error.message));
        stream.on("end", () => resolve("the coordinator closed the session"));
      });
      stream.on("data", (message: CoordinatorMessage__Output) => {
        if (message.body === "welcome" && message.welcome) {
          wasWelcomed = true;
          welcomed = stream;
          const beat = (): void => void stream.write({ heartbeat: { atMs: deps.clock.now() } });
          heartbeat ??= setInterval(beat, Math.max(100, message.welcome.heartbeatIntervalMs));
          log.info({ deviceId: message.welcome.deviceId }, "session open");
          for (const report of outbox.pending()) stream.write(reportMessage(report));
          for (const update of results) stream.write(measurementMessage(update));
        } else dispatch(message);
      });
      stream.write(helloMessage(await deps.hello()));
      return { message: await ended, wasWelcomed };
    } catch (error) {
      return { message: messageOf(error), wasWelcomed };
    } finally {
      if (welcomed === stream) welcomed = null;
      clearInterval(heartbeat);
      signal.removeEventListener("abort", abort);
      stream.cancel();
    }
  }

  function dispatch(message: CoordinatorMessage__Output): void {
    const failed = (error: unknown): void => log.warn({ error: String(error) }, `handling ${message.body} failed`);
    if (message.vouch) deps.onVouch(message.vouch).catch(failed);
    else if (message.measure) deps.onMeasure(message.measure);
    else if (message.cancelMeasurement) deps.onCancelMeasurement(message.cancelMeasurement.commandId);
    else if (message.readLogs)
      welcomed?.write(logsMessage(message.readLogs.requestId, deps.logs.read(message.readLogs)));
    else if (message.reportAck) outbox.acknowledge(message.reportAck.reportId).catch(failed);
  }
}

/** A dead peer is noticed within 15 s, also where no packet says so. gRPC's own reconnecting is left to our backoff. */
const channelOptions = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
};

function channelCredentials(identity: ReturnType<SessionDeps["identity"]>): ChannelCredentials {
  return credentials.createSsl(
    Buffer.from(identity.authorityPem),
    Buffer.from(identity.keyPem),
    Buffer.from(identity.certificatePem),
  );
}
