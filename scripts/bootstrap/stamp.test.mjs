import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "./scratch-folder.test-support.mjs";
import { clearStamp, hashInputs, readStamp, writeStamp } from "./stamp.mjs";

test("a stamp is read back until it is cleared", async (t) => {
  const home = await scratchFolder(t);
  assert.equal(await readStamp(home, "step"), undefined);
  await writeStamp(home, "step", { inputs: "abc" });
  assert.deepEqual(await readStamp(home, "step"), { inputs: "abc" });
  await clearStamp(home, "step");
  assert.equal(await readStamp(home, "step"), undefined);
});

test("a damaged stamp counts as none", async (t) => {
  const home = await scratchFolder(t);
  await mkdir(join(home, "stamps"));
  await writeFile(join(home, "stamps", "step.json"), '{"inputs": "ab');
  assert.equal(await readStamp(home, "step"), undefined);
});

test("inputs hash differently when text moves from one to the next", () => {
  assert.notEqual(hashInputs(["ab", "c"]), hashInputs(["a", "bc"]));
  assert.equal(hashInputs(["ab", "c"]), hashInputs(["ab", "c"]));
});
