import type { Assignment } from "@espalier/shared/contracts/assignment";
import { compareGenerations } from "@espalier/shared/contracts/assignment";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import type { CoordinatorMessage } from "@espalier/shared/generated/espalier/v1/CoordinatorMessage";
import type { DeviceMessage__Output } from "@espalier/shared/generated/espalier/v1/DeviceMessage";
import type { MeasurementItem } from "@espalier/shared/generated/espalier/v1/MeasurementItem";
import type { MeasurementUpdate__Output } from "@espalier/shared/generated/espalier/v1/MeasurementUpdate";
import type { StatusReport__Output } from "@espalier/shared/generated/espalier/v1/StatusReport";
import type { Logger } from "@espalier/shared/logging";
import { findAssignment } from "../../store/assignments.ts";
import { recordHello, recordReport } from "../../store/device-changes.ts";
import { findDevice } from "../../store/devices.ts";
import { recordEvent } from "../../store/events.ts";
import type { Store } from "../../store/open.ts";
import { createLogRequests, type LogRequests } from "./log-requests.ts";
import { createMeasureCommands } from "./measure-commands.ts";
import { readHello, readReport } from "./read-message.ts";
import type { SeenTimes } from "./seen-times.ts";

/** One connection of a device as the hub sees it; `connect.ts` makes it of a gRPC call. */
export interface Link {
  readonly deviceId: string;
  send(message: CoordinatorMessage): void;
  /** Ends the connection; `messages` ends soon after. */
  close(error?: EspalierError): void;
  readonly messages: AsyncIterable<DeviceMessage__Output>;
}

/** All sessions with devices. */
export interface SessionHub {
  /** Serves a connection until it ends. */
  serve(link: Link): Promise<void>;
  isOnline(deviceId: string): boolean;
  onlineCount(): number;
  /** Tells the device which artifact its assignment may carry. A device that is away is told when it connects. */
  vouch(assignment: Assignment): void;
  /**
   * Commands a device to measure and yields its updates; the last one is final.
   * @throws {EspalierError} `device.offline`; the signal's reason
   */
  measure(deviceId: string, items: MeasurementItem[], signal: AbortSignal): AsyncIterable<MeasurementUpdate__Output>;
  /** Lines of the device's own log. @throws {EspalierError} see log-requests.ts */
  readLogs: LogRequests["read"];
  /** Cuts a device's connection, e.g. after its revocation. */
  disconnect(deviceId: string): void;
  /** Called after a device connected, went or reported. @returns how to stop listening */
  onDeviceChanged(listener: (deviceId: string) => void): () => void;
  /** Ends every session; resolves when the last has been recorded. */
  close(): Promise<void>;
}

/** A device that says nothing for this many heartbeat intervals is gone. */
const missedHeartbeats = 4;
/** A device that is connected answers at once. */
const logAnswerMs = 10_000;

/**
 * INVARIANTS
 * - A device has one session: a newer connection replaces the older.
 * - Hello comes first; Welcome answers it before anything else is sent.
 * - Messages of a device are applied one after another; a report is acknowledged after its transaction.
 */
export function createSessionHub(parts: {
  store: Store;
  seen: SeenTimes;
  heartbeatIntervalMs: number;
  offlineGraceMs: number;
  now: () => number;
  log: Logger;
}): SessionHub {
  const { store, seen, heartbeatIntervalMs, now, log } = parts;
  const links = new Map<string, Link>();
  const listeners = new Set<(deviceId: string) => void>();
  const serving = new Set<Promise<void>>();
  const isOnline = (deviceId: string) => links.has(deviceId);
  const logs = createLogRequests({ send, answerWithinMs: logAnswerMs });
  const commands = createMeasureCommands({ send, isOnline, offlineGraceMs: parts.offlineGraceMs });

  function send(deviceId: string, message: CoordinatorMessage): boolean {
    const link = links.get(deviceId);
    link?.send(message);
    return link !== undefined;
  }

  function changed(deviceId: string): void {
    for (const listener of [...listeners]) listener(deviceId);
  }

  async function welcome(link: Link, first: DeviceMessage__Output): Promise<void> {
    const { deviceId } = link;
    if (!first.hello) throw new EspalierError("session.malformed", "the first message must be a Hello");
    const hello = readHello(first.hello);
    await store.inTransaction(async (transaction) => {
      // It may have been revoked between its call and its Hello.
      if ((await findDevice(transaction, deviceId))?.revokedAtMs !== null) throw revoked(deviceId);
      await recordHello(transaction, { ...hello, deviceId, nowMs: now() });
      await recordEvent(transaction, { atMs: now(), deviceId, kind: "device.connected", message: "connected" });
    });
    const older = links.get(deviceId);
    links.set(deviceId, link);
    older?.close(new EspalierError("session.replaced", "a newer session of this device took over"));
    link.send({ welcome: { deviceId, heartbeatIntervalMs } });
    const assignment = await findAssignment(store.db, deviceId);
    if (assignment !== null) vouch(assignment);
    commands.connected(deviceId);
    changed(deviceId);
  }

  async function handle(link: Link, message: DeviceMessage__Output): Promise<void> {
    seen.note(link.deviceId, now());
    if (message.status) await applyReport(link, message.status);
    else if (message.measurement) commands.update(link.deviceId, message.measurement);
    else if (message.logs) logs.answered(link.deviceId, message.logs);
    else if (message.hello) throw new EspalierError("session.malformed", "a session has one Hello");
  }

  async function applyReport(link: Link, message: StatusReport__Output): Promise<void> {
    const { deviceId } = link;
    try {
      const report = readReport(message, deviceId);
      await store.inTransaction(async (transaction) => {
        const assignment = await findAssignment(transaction, deviceId);
        const isCurrent = assignment !== null && compareGenerations(assignment.generation, report.generation) === 0;
        await recordReport(transaction, report, {
          rolloutId: isCurrent ? assignment.rolloutId : null,
          nowMs: now(),
        });
      });
    } catch (error) {
      // Said again it would be as wrong: it is acknowledged all the same, or the device would repeat it for ever.
      if (!isMalformed(error)) throw error;
      log.warn({ deviceId, problem: messageOf(error) }, "a status report breaks its contract and is dropped");
    }
    link.send({ reportAck: { reportId: message.reportId } });
    changed(deviceId);
  }

  /** Nothing is run by an assignment of nothing, so there is nothing to vouch for. */
  function vouch({ deviceId, generation, variant }: Assignment): void {
    if (variant !== null) send(deviceId, { vouch: { generation, artifactDigest: variant.artifactDigest } });
  }

  async function left(link: Link): Promise<void> {
    const { deviceId } = link;
    if (links.get(deviceId) !== link) return;
    links.delete(deviceId);
    commands.disconnected(deviceId);
    logs.disconnected(deviceId);
    await seen.flush();
    await recordEvent(store.db, { atMs: now(), deviceId, kind: "device.disconnected", message: "disconnected" });
    changed(deviceId);
  }

  async function serveToEnd(link: Link): Promise<void> {
    const silence = () => link.close(new EspalierError("session.silent", "no message for too long"));
    let timer = setTimeout(silence, heartbeatIntervalMs * missedHeartbeats);
    let greeted = false;
    try {
      for await (const message of link.messages) {
        clearTimeout(timer);
        timer = setTimeout(silence, heartbeatIntervalMs * missedHeartbeats);
        if (greeted) await handle(link, message);
        else await welcome(link, message);
        greeted = true;
      }
    } finally {
      clearTimeout(timer);
      await left(link);
    }
  }

  return {
    async serve(link) {
      const served = serveToEnd(link);
      serving.add(served);
      await served.finally(() => serving.delete(served));
    },
    isOnline,
    onlineCount: () => links.size,
    vouch,
    measure: commands.measure,
    readLogs: logs.read,
    disconnect(deviceId) {
      links.get(deviceId)?.close(revoked(deviceId));
    },
    onDeviceChanged(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      for (const link of links.values()) link.close();
      await Promise.allSettled([...serving]);
    },
  };
}

function revoked(deviceId: string): EspalierError {
  return new EspalierError("caller.forbidden", `device ${deviceId} was revoked`, { fields: { deviceId } });
}

function isMalformed(error: unknown): boolean {
  return (
    (error instanceof EspalierError && error.code === "report.malformed") ||
    error instanceof SyntaxError ||
    (error instanceof Error && error.name === "ZodError")
  );
}
