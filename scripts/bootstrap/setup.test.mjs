import assert from "node:assert/strict";
import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { tryCommand } from "./run-command.mjs";
import { scratchFolder } from "./scratch-folder.test-support.mjs";

/** A checkout with nothing but setup.sh, and a PATH with nothing but the given programs beside the basic ones. */
async function freshMachine(t, programs) {
  const folder = await scratchFolder(t);
  const script = join(folder, "scripts", "bootstrap", "setup.sh");
  await mkdir(dirname(script), { recursive: true });
  await cp(join(dirname(fileURLToPath(import.meta.url)), "setup.sh"), script);
  const bin = join(folder, "bin");
  await mkdir(bin);
  for (const basic of ["dirname", "mkdir", "id"]) {
    await program(
      join(bin, basic),
      `exec ${(await tryCommand("/bin/sh", ["-c", `command -v ${basic}`])).output.trim()} "$@"`,
    );
  }
  for (const [name, line] of Object.entries(programs)) await program(join(bin, name), line);
  return () => tryCommand("/bin/sh", [script], { env: { PATH: bin } });
}

async function program(path, line) {
  await writeFile(path, `#!/bin/sh\n${line}\n`);
  await chmod(path, 0o755);
}

test("a machine without node is told what to install", async (t) => {
  const setup = await freshMachine(t, {});
  const { code, output } = await setup();
  assert.equal(code, 1);
  assert.match(output, /node is not on PATH\n {2}fix: install Node\.js 20 or newer/);
});

test("a node that is too old is named by its version", async (t) => {
  const setup = await freshMachine(t, { node: 'test "$1" = --version && echo v12.22.12 && exit 0; exit 1' });
  const { code, output } = await setup();
  assert.equal(code, 1);
  assert.match(output, /node v12\.22\.12 is too old\n {2}fix: install Node\.js 20/);
});

test("a machine without npm is told what to install", async (t) => {
  const setup = await freshMachine(t, { node: "exit 0" });
  const { code, output } = await setup();
  assert.equal(code, 1);
  assert.match(output, /npm is not on PATH\n {2}fix: install npm/);
});

test("a machine with both hands over to the bootstrap", async (t) => {
  const setup = await freshMachine(t, { node: 'test "$1" = -e || echo "handed over: $1"', npm: "exit 0" });
  const { code, output } = await setup();
  assert.equal(code, 0, output);
  assert.match(output, /handed over: .*scripts\/bootstrap\/main\.mjs/);
});

test("a second setup waits until the commands of a killed first one are gone", async (t) => {
  const folder = await scratchFolder(t);
  const script = join(folder, "scripts", "bootstrap", "setup.sh");
  const here = dirname(fileURLToPath(import.meta.url));
  await cp(here, dirname(script), { recursive: true });
  const events = join(folder, "events");
  // Starts a command that outlives it, as a pip does whose setup was killed.
  await writeFile(
    join(folder, "scripts", "bootstrap", "main.mjs"),
    `import { tryCommand } from "./run-command.mjs";
     if (process.argv[2] === "first") {
       tryCommand("/bin/sh", ["-c", "sleep 1; echo orphan done >> '${events}'"]);
       setTimeout(() => process.kill(process.pid, "SIGKILL"), 200);
     } else await tryCommand("/bin/sh", ["-c", "echo second >> '${events}'"]);`,
  );
  await tryCommand("/bin/sh", [script, "first"]);
  const second = await tryCommand("/bin/sh", [script, "second"]);
  assert.match(second.output, /waiting for another setup/);
  assert.equal(await readFile(events, "utf8"), "orphan done\nsecond\n");
});
