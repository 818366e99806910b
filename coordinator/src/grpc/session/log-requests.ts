import { randomUUID } from "node:crypto";
import { EspalierError } from "@espalier/shared/errors";
import type { CoordinatorMessage } from "@espalier/shared/generated/espalier/v1/CoordinatorMessage";
import type { LogLines__Output } from "@espalier/shared/generated/espalier/v1/LogLines";

/** What a device may answer at most, whatever it was asked for. */
export const maxLogLines = 1_000;
const maxLineChars = 4_096;

/** Questions for lines of devices' logs, each with whoever waits for its one answer. */
export interface LogRequests {
  /**
   * @param after the `next` of the answer before; 0 for the newest lines
   * @throws {EspalierError} `device.offline`, `device.silent`; the signal's reason
   */
  read(
    deviceId: string,
    request: { after: number; lines: number },
    signal: AbortSignal,
  ): Promise<{ lines: string[]; next: number; missed: number }>;
  answered(deviceId: string, answer: LogLines__Output): void;
  disconnected(deviceId: string): void;
}

interface Waiting {
  readonly deviceId: string;
  answer(lines: LogLines__Output): void;
  fail(error: unknown): void;
}

export function createLogRequests(parts: {
  send: (deviceId: string, message: CoordinatorMessage) => boolean;
  answerWithinMs: number;
}): LogRequests {
  const { send, answerWithinMs } = parts;
  const waiting = new Map<string, Waiting>();

  return {
    async read(deviceId, request, signal) {
      signal.throwIfAborted();
      const requestId = randomUUID();
      const { promise, resolve, reject } = Promise.withResolvers<LogLines__Output>();
      const abort = () => reject(signal.reason);
      const timer = setTimeout(() => reject(silent(deviceId)), answerWithinMs);
      waiting.set(requestId, { deviceId, answer: resolve, fail: reject });
      signal.addEventListener("abort", abort, { once: true });
      try {
        if (!send(deviceId, { readLogs: { requestId, ...request } })) throw offline(deviceId);
        const { lines, next, missed } = await promise;
        const bounded = lines.slice(0, maxLogLines).map((line) => line.slice(0, maxLineChars));
        return { lines: bounded, next, missed };
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        waiting.delete(requestId);
      }
    },
    answered(deviceId, answer) {
      const asked = waiting.get(answer.requestId);
      // A device can answer only what it was asked.
      if (asked?.deviceId === deviceId) asked.answer(answer);
    },
    disconnected(deviceId) {
      for (const asked of waiting.values()) if (asked.deviceId === deviceId) asked.fail(offline(deviceId));
    },
  };
}

function offline(deviceId: string): EspalierError {
  return new EspalierError("device.offline", `device ${deviceId} is offline: its log is on the device only`, {
    fields: { deviceId },
    remedy: "see `espalier device events`, or read the log on the device: journalctl -u espalier-agent",
  });
}

function silent(deviceId: string): EspalierError {
  return new EspalierError("device.silent", `device ${deviceId} doesn't answer with its log`, {
    fields: { deviceId },
    remedy: "an agent of an older version keeps none: update it, or read the log on the device",
  });
}
