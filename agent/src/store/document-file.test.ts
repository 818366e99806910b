import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { openDataFolder } from "./data-folder.ts";
import { openDocumentFile } from "./document-file.ts";

const Counter = z.strictObject({ n: z.int() });
const warnings: string[] = [];
const log = { warn: (_fields: object, message: string) => void warnings.push(message) };

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-store-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
const open = (path: string) => openDocumentFile({ path, schema: Counter, initial: () => ({ n: 0 }), log });

test("a saved value is there after reopening, with no temporary file beside it", () =>
  inFolder(async (folder) => {
    const path = join(folder, "counter.json");
    const file = await open(path);
    await Promise.all([file.save({ n: 1 }), file.save({ n: 2 }), file.save({ n: 3 })]);
    assert.deepEqual(file.value, { n: 3 });
    assert.deepEqual((await open(path)).value, { n: 3 });
    assert.deepEqual(await readdir(folder), ["counter.json", "counter.json.copy"]);
  }));

test("a torn, empty, foreign or lost file heals from its copy", () =>
  inFolder(async (folder) => {
    const path = join(folder, "counter.json");
    for (const content of ['{"n": 1', "", '{"n": "one"}', null]) {
      await (await open(path)).save({ n: 7 });
      if (content === null) await rm(path);
      else await writeFile(path, content);
      assert.deepEqual((await open(path)).value, { n: 7 });
    }
  }));

test("a torn, empty or foreign file without a copy heals to the initial value and is kept aside", () =>
  inFolder(async (folder) => {
    const path = join(folder, "counter.json");
    for (const content of ['{"n": 1', "", '{"n": "one"}', "\0\0\0\0"]) {
      await writeFile(path, content);
      const before = warnings.length;
      assert.deepEqual((await open(path)).value, { n: 0 });
      assert.equal(await readFile(`${path}.broken`, "utf8"), content);
      assert.equal(warnings.length, before + 1);
    }
  }));

test("a failed save leaves the last durable value in force and the next save works", () =>
  inFolder(async (folder) => {
    const path = join(folder, "counter.json");
    const file = await open(path);
    await file.save({ n: 1 });
    const circular: { n: number; self?: unknown } = { n: 2 };
    circular.self = circular;
    await assert.rejects(file.save(circular as { n: number }), TypeError);
    assert.deepEqual(file.value, { n: 1 });
    await file.save({ n: 3 });
    assert.deepEqual((await open(path)).value, { n: 3 });
  }));

test("opening the data folder removes half-written files and folders of a killed predecessor, and nothing else", () =>
  inFolder(async (root) => {
    const first = await openDataFolder(root);
    await writeFile(join(first.chunks, "aa"), "kept");
    await writeFile(join(first.chunks, "bb.123.partial"), "half");
    await writeFile(join(root, "state.json.456.partial"), "half");
    await openDataFolder(root);
    assert.deepEqual(await readdir(first.chunks), ["aa"]);
    assert.equal((await readdir(root)).includes("state.json.456.partial"), false);
  }));
