import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { createHostLock } from "./host-lock.ts";

const never = new AbortController().signal;
const ignore = (): void => undefined;

test("holders take turns, and each is told once that it waits", async () => {
  const lock = createHostLock(randomUUID());
  let holders = 0;
  let waits = 0;
  const turn = async (): Promise<void> => {
    const release = await lock.acquire(never, () => void waits++);
    assert.equal(++holders, 1);
    await new Promise((resolve) => setImmediate(resolve));
    holders--;
    await release();
  };
  await Promise.all([turn(), turn(), turn()]);
  assert.equal(waits, 2);
});

test("a killed holder hands over at once", async () => {
  const id = randomUUID();
  const url = new URL("./host-lock.ts", import.meta.url).href;
  const script = `import { createHostLock } from ${JSON.stringify(url)};
    await createHostLock(${JSON.stringify(id)}).acquire(new AbortController().signal, () => undefined);
    process.stdout.write("held"); setInterval(() => undefined, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  const waiting = Promise.withResolvers<void>();
  const acquired = createHostLock(id).acquire(never, waiting.resolve);
  await waiting.promise;
  holder.kill("SIGKILL");
  await (await acquired)();
});

test("waiting ends with the signal", async () => {
  const lock = createHostLock(randomUUID());
  const release = await lock.acquire(never, ignore);
  const abort = new AbortController();
  const waiting = lock.acquire(abort.signal, () => abort.abort(new Error("cancelled")));
  await assert.rejects(waiting, /cancelled/);
  await release();
});
