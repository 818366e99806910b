import assert from "node:assert/strict";
import { test } from "node:test";
import { findPython } from "./python-interpreter.mjs";

/** A machine with these Pythons, by command. */
const machine = (versions) => async (command) =>
  versions[command] === undefined
    ? { code: 127, output: `spawn ${command} ENOENT` }
    : { code: 0, output: `${versions[command]}\n/usr/bin/${command}\n` };

test("the machine's python3 is taken when it fits", async () => {
  const python = await findPython({ environment: {}, ask: machine({ python3: "3.11.7" }) });
  assert.deepEqual(python, { command: "python3", version: "3.11.7", executable: "/usr/bin/python3" });
});

test("an old python3 is passed over for a newer one beside it", async () => {
  const python = await findPython({ environment: {}, ask: machine({ python3: "3.9.2", "python3.12": "3.12.1" }) });
  assert.equal(python.command, "python3.12");
});

test("only an old Python: the error names it and what to install", async () => {
  const failing = findPython({ environment: {}, ask: machine({ python3: "3.9.2" }) });
  await assert.rejects(failing, /python3 is version 3\.9\.2\n {2}fix: install Python 3\.11 to 3\.14/);
});

test("no Python at all is said in so many words", async () => {
  await assert.rejects(findPython({ environment: {}, ask: machine({}) }), /python3 is not on PATH/);
});

test("a Python named by $PYTHON is the only candidate", async () => {
  const failing = findPython({ environment: { PYTHON: "/opt/py" }, ask: machine({ python3: "3.11.7" }) });
  await assert.rejects(failing, /\$PYTHON \(\/opt\/py\) does not run/);
});
