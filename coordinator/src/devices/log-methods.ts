import { setTimeout as sleep } from "node:timers/promises";
import { EspalierError } from "@espalier/shared/errors";
import type { LogMethods } from "../grpc/operator.ts";
import type { SessionHub } from "../grpc/session/hub.ts";
import { maxLogLines } from "../grpc/session/log-requests.ts";
import { findDeviceByIdOrName } from "../store/devices.ts";
import type { Store } from "../store/open.ts";

const defaultLines = 100;
const followIntervalMs = 500;

/**
 * The logs that agents keep of themselves; nothing of them is stored here. Following asks for more only when what was sent
 * has been taken, so that a slow reader fills nobody's memory: it is told what it missed.
 */
export function logMethods({ store, hub }: { store: Store; hub: Pick<SessionHub, "readLogs"> }): LogMethods {
  return {
    async *readDeviceLogs({ device, lines, follow }, { signal }) {
      const found = await findDeviceByIdOrName(store.db, device);
      if (found === null) {
        throw new EspalierError("device.unknown", `no device is called ${device}`, {
          fields: { device },
          remedy: "see `espalier device list`",
        });
      }
      let asked = Math.min(lines || defaultLines, maxLogLines);
      for (let after = 0; ; asked = maxLogLines) {
        const answer = await hub.readLogs(found.id, { after, lines: asked }, signal);
        if (answer.lines.length > 0) yield { lines: answer.lines, missed: answer.missed };
        if (!follow) return;
        after = answer.next;
        if (answer.lines.length < asked) await sleep(followIntervalMs, undefined, { signal });
      }
    },
  };
}
