import type { Measurements } from "@espalier/shared/contracts/profile";
import { messageOf } from "@espalier/shared/errors";
import type { MeasureCommand__Output } from "@espalier/shared/generated/espalier/v1/MeasureCommand";
import type { HostLock } from "./host-lock.ts";
import { isFinal, type MeasureUpdate } from "./measure-update.ts";

type Item = MeasureCommand__Output["items"][number];

export interface MeasureCommandsDeps {
  readonly hostLock: HostLock;
  /** Measures one item; the parts it returns are merged into the command's result. */
  readonly measure: (
    item: Item,
    onProgress: (message: string, fraction: number) => void,
    signal: AbortSignal,
  ) => Promise<Partial<Measurements>>;
  readonly baseMemoryBytes: () => number;
  readonly send: (update: MeasureUpdate) => void;
  readonly log: { info(fields: object, message: string): void };
}

export interface MeasureCommands {
  /** Repeats of a running command are ignored; of a finished one, answered again. */
  start(command: Pick<MeasureCommand__Output, "commandId" | "items">): void;
  cancel(commandId: string): void;
  /** Cancels all and waits. */
  close(): Promise<void>;
}

/** Finished commands whose result a repeat may still ask for. */
const remembered = 8;

/** Runs measure commands, one after another by the host's lock, and tells how each fares. */
export function createMeasureCommands(deps: MeasureCommandsDeps): MeasureCommands {
  const running = new Map<string, { abort: AbortController; done: Promise<void> }>();
  const finished: MeasureUpdate[] = [];

  const tell = (update: MeasureUpdate): void => {
    deps.log.info({ commandId: update.commandId, state: update.state, about: update.message }, "measurement");
    if (isFinal(update)) finished.splice(0, finished.length, ...finished.slice(1 - remembered), update);
    deps.send(update);
  };

  async function run({ commandId, items }: Parameters<MeasureCommands["start"]>[0], signal: AbortSignal) {
    let release: (() => Promise<void>) | undefined;
    let fraction = 0;
    try {
      release = await deps.hostLock.acquire(signal, () =>
        tell({ commandId, state: "waiting", message: "another agent of this host measures", fraction }),
      );
      let measurements: Measurements = { ...nothing, baseMemoryBytes: deps.baseMemoryBytes() };
      for (const [index, item] of items.entries()) {
        signal.throwIfAborted();
        fraction = index / items.length;
        tell({ commandId, state: "running", message: item.kind ?? "", fraction });
        const onProgress = (message: string, part: number): void =>
          tell({ commandId, state: "running", message, fraction: (index + part) / items.length });
        const { variants = [], ...parts } = await deps.measure(item, onProgress, signal);
        measurements = { ...measurements, ...parts, variants: [...measurements.variants, ...variants] };
      }
      tell({ commandId, state: "succeeded", message: "done", fraction: 1, measurements });
    } catch (error) {
      tell({ commandId, state: signal.aborted ? "cancelled" : "failed", message: messageOf(error), fraction });
    } finally {
      await release?.();
    }
  }

  return {
    start(command) {
      const { commandId } = command;
      const result = finished.find((update) => update.commandId === commandId);
      if (result !== undefined) deps.send(result);
      if (result !== undefined || running.has(commandId)) return;
      const abort = new AbortController();
      const done = run(command, abort.signal).finally(() => running.delete(commandId));
      running.set(commandId, { abort, done });
    },
    cancel(commandId) {
      running.get(commandId)?.abort.abort(new Error("cancelled"));
    },
    async close() {
      for (const { abort } of running.values()) abort.abort(new Error("the agent stops"));
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}

const nothing: Measurements = {
  memoryBandwidthBytesPerSecond: null,
  diskWriteBytesPerSecond: null,
  downloadBytesPerSecond: null,
  kit: null,
  baseMemoryBytes: null,
  variants: [],
};
