import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { publishEnvironment, withdrawEnvironment } from "./environment-file.mjs";
import { scratchFolder } from "./scratch-folder.test-support.mjs";

const PATHS = { node: "/n", python: "/p", natsServer: "/s", prometheus: "/m", promtool: "/t" };

test("tests and demo find every program by its key", async (t) => {
  const home = await scratchFolder(t);
  await publishEnvironment(home, PATHS);
  assert.deepEqual(JSON.parse(await readFile(join(home, "env.json"), "utf8")), PATHS);
});

test("an unchanged environment is not written again", async (t) => {
  const home = await scratchFolder(t);
  await publishEnvironment(home, PATHS);
  const before = await stat(join(home, "env.json"));
  await publishEnvironment(home, PATHS);
  assert.equal((await stat(join(home, "env.json"))).ino, before.ino);
});

test("while something is being installed there is no environment to read", async (t) => {
  const home = await scratchFolder(t);
  await publishEnvironment(home, PATHS);
  await withdrawEnvironment(home);
  await assert.rejects(stat(join(home, "env.json")), { code: "ENOENT" });
});
