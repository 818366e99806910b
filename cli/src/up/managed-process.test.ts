import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ManagedProcess } from "./managed-process.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-process-"));
});
after(() => rm(folder, { recursive: true }));

function start(name: string, script: string, onUnexpectedExit: (reason: string) => void = () => {}) {
  const logPath = join(folder, `${name}.log`);
  return new ManagedProcess({ name, file: process.execPath, args: ["-e", script], logPath }, onUnexpectedExit);
}

test("a process that ends while starting is an error that names its log", async () => {
  const child = start("dies", "console.error('why I died'); process.exit(4)");
  await assert.rejects(
    child.ready(async () => undefined, 10_000),
    { code: "process.ended", remedy: /dies\.log/ },
  );
  assert.match(await readFile(child.logPath, "utf8"), /why I died/);
});

test("an unexpected end is told once, a stop is not", async () => {
  const told = Promise.withResolvers<string>();
  start("crashes", "process.exit(7)", told.resolve);
  assert.equal(await told.promise, "exit code 7");

  const reasons: string[] = [];
  const child = start("stays", "setInterval(() => {}, 1000)", (reason) => reasons.push(reason));
  await child.ready(async () => true, 10_000);
  await child.stop();
  assert.equal(child.running, false);
  assert.deepEqual(reasons, []);
});
