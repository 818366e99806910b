import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "@espalier/shared/errors";
import { insertDevice } from "../store/device-changes.ts";
import { openSqliteStore } from "../store/open.ts";
import { logMethods } from "./log-methods.ts";

/** Plays a device that writes two lines between any two questions. */
function chattyDevice() {
  let written = 5;
  const asked: { after: number; lines: number }[] = [];
  return {
    asked,
    async readLogs(_deviceId: string, request: { after: number; lines: number }) {
      asked.push(request);
      const from = request.after === 0 ? Math.max(1, written - request.lines + 1) : request.after;
      const lines = Array.from({ length: written - from + 1 }, (_, index) => `line ${from + index}`);
      const next = written + 1;
      written += 2;
      return { lines, next, missed: 0 };
    },
  };
}

test("following begins with the newest lines and goes on where the answer before ended, asked for as they are taken", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-logs-"));
  const store = await openSqliteStore(join(folder, "store.db"));
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const device = {
    id: "dev-1",
    wantedName: "pi",
    labels: {},
    certificateSerial: "1",
    natsPublicKey: "U",
    createdAtMs: 1,
  };
  await store.inTransaction((transaction) => insertDevice(transaction, device));
  const hub = chattyDevice();
  const { readDeviceLogs } = logMethods({ store, hub });
  const call = { operator: "ada", role: "viewer", signal: new AbortController().signal } as const;

  const once = await Array.fromAsync(readDeviceLogs({ device: "pi", lines: 2, follow: false }, call));
  assert.deepEqual(once, [{ lines: ["line 4", "line 5"], missed: 0 }]);

  const taken: string[] = [];
  for await (const { lines = [] } of readDeviceLogs({ device: "dev-1", lines: 1, follow: true }, call)) {
    taken.push(...lines);
    assert.ok(hub.asked.length <= 4, "nothing is asked for before it is wanted");
    if (taken.length >= 5) break;
  }
  assert.deepEqual(taken, ["line 7", "line 8", "line 9", "line 10", "line 11"]);
  await assert.rejects(Array.fromAsync(readDeviceLogs({ device: "x", lines: 1, follow: false }, call)), (error) =>
    hasCode(error, "device.unknown"),
  );
});
