import type { Logger } from "@espalier/shared/logging";
import { recordSeen } from "../../store/device-changes.ts";
import type { Store } from "../../store/open.ts";

/**
 * When each device was last heard. Heartbeats of a fleet would be thousands of durable writes per second: they are
 * kept here and written together at intervals. A kill loses at most one interval of "last seen".
 */
export interface SeenTimes {
  note(deviceId: string, atMs: number): void;
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export function startSeenTimes(parts: { store: Store; intervalMs: number; log: Logger }): SeenTimes {
  const { store, intervalMs, log } = parts;
  let unwritten = new Map<string, number>();

  async function flush(): Promise<void> {
    if (unwritten.size === 0) return;
    const batch = unwritten;
    unwritten = new Map();
    await store.inTransaction(async (transaction) => {
      for (const [deviceId, atMs] of batch) await recordSeen(transaction, deviceId, atMs);
    });
  }

  const timer = setInterval(() => {
    flush().catch((error: unknown) => log.error({ err: error }, "when devices were last seen can't be written"));
  }, intervalMs);
  return {
    note: (deviceId, atMs) => unwritten.set(deviceId, atMs),
    flush,
    async stop() {
      clearInterval(timer);
      await flush();
    },
  };
}
