import { randomUUID } from "node:crypto";
import { EspalierError } from "@espalier/shared/errors";
import type { CoordinatorMessage } from "@espalier/shared/generated/espalier/v1/CoordinatorMessage";
import type { MeasurementItem } from "@espalier/shared/generated/espalier/v1/MeasurementItem";
import type { MeasurementUpdate__Output } from "@espalier/shared/generated/espalier/v1/MeasurementUpdate";
import { createMessageQueue, type MessageQueue } from "./message-queue.ts";

/** Measure commands under way, each with whoever waits for it. */
export interface MeasureCommands {
  /**
   * Commands a device to measure and yields its updates; the last one is final. A device that reconnects is told again.
   * @throws {EspalierError} `device.offline` when it is away longer than the grace period; the signal's reason
   */
  measure(deviceId: string, items: MeasurementItem[], signal: AbortSignal): AsyncIterable<MeasurementUpdate__Output>;
  update(deviceId: string, update: MeasurementUpdate__Output): void;
  /** The device is connected: repeats what it has to do and stops the clock. */
  connected(deviceId: string): void;
  disconnected(deviceId: string): void;
}

interface Command {
  readonly deviceId: string;
  readonly message: CoordinatorMessage;
  readonly updates: MessageQueue<MeasurementUpdate__Output>;
  offline: NodeJS.Timeout | undefined;
}

const finalStates: readonly MeasurementUpdate__Output["state"][] = [
  "STATE_SUCCEEDED",
  "STATE_FAILED",
  "STATE_CANCELLED",
];

export function createMeasureCommands(parts: {
  send: (deviceId: string, message: CoordinatorMessage) => boolean;
  isOnline: (deviceId: string) => boolean;
  offlineGraceMs: number;
}): MeasureCommands {
  const { send, isOnline, offlineGraceMs } = parts;
  const commands = new Map<string, Command>();

  function startOfflineClock(command: Command): void {
    clearTimeout(command.offline);
    command.offline = setTimeout(() => {
      const { deviceId } = command;
      command.updates.fail(
        new EspalierError("device.offline", `device ${deviceId} is offline and can't measure`, {
          fields: { deviceId },
          remedy: "start its agent and try again",
        }),
      );
    }, offlineGraceMs);
  }

  const commandsOf = (deviceId: string) => [...commands.values()].filter((command) => command.deviceId === deviceId);
  return {
    async *measure(deviceId, items, signal) {
      signal.throwIfAborted();
      const commandId = randomUUID();
      const message: CoordinatorMessage = { measure: { commandId, items } };
      const command: Command = { deviceId, message, updates: createMessageQueue(), offline: undefined };
      const abort = () => {
        send(deviceId, { cancelMeasurement: { commandId } });
        command.updates.fail(signal.reason);
      };
      commands.set(commandId, command);
      signal.addEventListener("abort", abort, { once: true });
      try {
        send(deviceId, message);
        if (!isOnline(deviceId)) startOfflineClock(command);
        for await (const update of command.updates) {
          yield update;
          if (finalStates.includes(update.state)) return;
        }
      } finally {
        signal.removeEventListener("abort", abort);
        clearTimeout(command.offline);
        commands.delete(commandId);
      }
    },
    update(deviceId, update) {
      const command = commands.get(update.commandId);
      // A device can answer only its own commands.
      if (command?.deviceId === deviceId) command.updates.push(update);
    },
    connected(deviceId) {
      for (const command of commandsOf(deviceId)) {
        clearTimeout(command.offline);
        send(deviceId, command.message);
      }
    },
    disconnected(deviceId) {
      for (const command of commandsOf(deviceId)) startOfflineClock(command);
    },
  };
}
