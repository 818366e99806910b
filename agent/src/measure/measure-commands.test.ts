import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createHostLock } from "./host-lock.ts";
import { createMeasureCommands, type MeasureCommandsDeps } from "./measure-commands.ts";
import { measureDiskWrite } from "./measure-disk-write.ts";
import { measureMemoryBandwidth } from "./measure-memory-bandwidth.ts";
import { isFinal, type MeasureUpdate } from "./measure-update.ts";

const never = new AbortController().signal;
type Item = Parameters<MeasureCommandsDeps["measure"]>[0];
const item: Item = { kind: "diskWrite", diskWrite: {} } as Item;

function commands(measure: MeasureCommandsDeps["measure"], hostId: string = randomUUID()) {
  const updates: MeasureUpdate[] = [];
  const ended = Promise.withResolvers<void>();
  const runner = createMeasureCommands({
    hostLock: createHostLock(hostId),
    measure,
    baseMemoryBytes: () => 1000,
    send: (update) => {
      updates.push(update);
      if (isFinal(update)) ended.resolve();
    },
    log: { info: () => undefined },
  });
  return { runner, updates, ended: ended.promise };
}

test("a command's parts are merged, and a repeat is answered again without measuring again", async () => {
  let runs = 0;
  const { runner, updates, ended } = commands(async () => {
    runs++;
    return { diskWriteBytesPerSecond: { median: 1, p90: 1, relativeSpread: 0, repetitions: 1 } };
  });
  runner.start({ commandId: "c", items: [item] });
  runner.start({ commandId: "c", items: [item] });
  await ended;
  runner.start({ commandId: "c", items: [item] });
  assert.equal(runs, 1);
  const finals = updates.filter(isFinal);
  assert.equal(finals.length, 2);
  const [result] = finals;
  assert.ok(result?.state === "succeeded");
  assert.equal(result.measurements.diskWriteBytesPerSecond?.median, 1);
  assert.equal(result.measurements.baseMemoryBytes, 1000);
  assert.equal(result.measurements.kit, null);
});

test("a cancelled command says so and gives the host's turn back", async () => {
  const host = randomUUID();
  const begun = Promise.withResolvers<void>();
  const first = commands((_item, _progress, signal) => {
    begun.resolve();
    return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  }, host);
  first.runner.start({ commandId: "a", items: [item] });
  await begun.promise;
  const second = commands(async () => ({}), host);
  second.runner.start({ commandId: "b", items: [item] });
  while (second.updates.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(second.updates[0]?.state, "waiting");
  first.runner.cancel("a");
  await Promise.all([first.ended, second.ended]);
  assert.equal(first.updates.at(-1)?.state, "cancelled");
  assert.equal(second.updates.at(-1)?.state, "succeeded");
});

test("memory bandwidth and disk write are measured for real, with spread, and leave nothing behind", async () => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-measure-"));
  try {
    const bandwidth = await measureMemoryBandwidth({ threads: 1, bufferBytes: 64 * 1024 ** 2 }, never);
    assert.equal(bandwidth.repetitions, 7);
    assert.ok(bandwidth.median > 5e8 && bandwidth.median < 1e12, `${bandwidth.median} B/s`);
    const disk = await measureDiskWrite(folder, never);
    assert.ok(disk.median > 1e6 && disk.repetitions === 3, `${disk.median} B/s`);
    assert.deepEqual(await readdir(folder), []);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
