import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { placeWhole, writeWhole } from "./place-whole.mjs";
import { scratchFolder } from "./scratch-folder.test-support.mjs";

test("a file appears under its name only when it is whole", async (t) => {
  const folder = await scratchFolder(t);
  const path = join(folder, "deep", "file");
  await placeWhole(path, async (partial) => {
    await writeFile(partial, "half");
    assert.deepEqual((await readdir(join(folder, "deep"))).includes("file"), false);
    await writeFile(partial, "whole");
  });
  assert.equal(await readFile(path, "utf8"), "whole");
});

test("a failure keeps the old file and leaves nothing partial", async (t) => {
  const folder = await scratchFolder(t);
  const path = join(folder, "file");
  await writeWhole(path, "old");
  const failing = placeWhole(path, async (partial) => {
    await writeFile(partial, "half of the new");
    throw new Error("the power went out");
  });
  await assert.rejects(failing, /the power went out/);
  assert.equal(await readFile(path, "utf8"), "old");
  assert.deepEqual(await readdir(folder), ["file"]);
});
