import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Command } from "commander";
import { kindWanted } from "./commands/completion-names.ts";
import { examplesOf } from "./help/examples.ts";
import { createProgram } from "./program.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-program-"));
});
after(() => rm(folder, { recursive: true }));

/** Runs `espalier` as a program does: no terminal. */
function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, ESPALIER_CONTEXT: join(folder, "none.json") };
    execFile(process.execPath, [main, ...args], { cwd: folder, env }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
    );
  });
}

function leavesOf(command: Command, name: string): [string, Command][] {
  return command.commands.length === 0
    ? [[name, command]]
    : command.commands.flatMap((child) => leavesOf(child, `${name} ${child.name()}`));
}

test("every command teaches with examples of itself, and lists have selector and watch", () => {
  for (const [name, command] of leavesOf(createProgram(), "espalier")) {
    const examples = examplesOf(command);
    assert.ok(examples.length > 0, `${name} has no example`);
    assert.ok(
      examples.every(([line]) => line.includes(name.replace("espalier ", ""))),
      `an example of ${name} shows something else`,
    );
    assert.notEqual(command.description(), "", name);
    if (!name.endsWith(" list")) continue;
    const flags = command.options.map(({ long }) => long);
    assert.ok(flags.includes("--selector") && flags.includes("--watch"), name);
  }
});

test("help goes to stdout with examples, wrong usage to stderr with exit code 2", async () => {
  const help = await run("device", "list", "--help");
  assert.equal(help.code, 0);
  assert.match(help.stdout, /Examples:\n {2}# .*\n {2}espalier device list/);
  assert.match(help.stdout, /--output/);
  for (const wrong of [
    ["device", "lits"],
    ["device", "list", "-o", "xml"],
    ["rollout", "start"],
    ["operator", "create", "a"],
  ]) {
    const { code, stdout, stderr } = await run(...wrong);
    assert.equal(code, 2, wrong.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, /error: /);
  }
});

test("without a coordinator the exit code is 5 and the error names the remedy", async () => {
  const { code, stderr } = await run("status");
  assert.equal(code, 5);
  assert.match(stderr, /^error \(context\.missing\): .*\nfix: .*espalier up/);
});

test("a shell is told the commands and the options as they are", async () => {
  assert.match((await run("complete", "--", "rollout", "st")).stdout, /^start\t.*\n(.*\n)*status\t/m);
  assert.match((await run("complete", "--", "rollout", "start", "--")).stdout, /^--dry-run\t/m);
  for (const shell of ["bash", "zsh", "fish"]) assert.match((await run("complete", shell)).stdout, /espalier/);
});

test("bash completes a command by the script that it is given", async () => {
  await symlink(main, join(folder, "espalier"));
  const script = `
    source <(espalier complete bash)
    COMP_WORDS=(espalier rollout hist) COMP_CWORD=2
    __espalier_complete 2> /dev/null
    echo "\${COMPREPLY[@]}"`;
  const env = { ...process.env, PATH: `${folder}:${dirname(process.execPath)}:${process.env["PATH"]}` };
  const { stdout } = await promisify(execFile)("bash", ["--norc", "-c", script], { env });
  assert.equal(stdout, "history\n");
});

test("what a word may name follows from the placeholder that help shows for it", () => {
  const program = createProgram();
  const wanted = (...words: string[]) => kindWanted(program, words);
  assert.equal(wanted("device", "show", ""), "device");
  assert.equal(wanted("--context", "c.json", "-o", "json", "rollout", "status", "sp"), "rollout");
  assert.equal(wanted("variant", "compare", "a", ""), "variant");
  assert.equal(wanted("variant", "list", "--model", ""), "model");
  assert.equal(wanted("model", "profile", "smol", "--device", "p"), "device");
  for (const other of [
    ["device", "sho"],
    ["rollout", "start", "-f", ""],
    ["device", "show", "pi", ""],
    ["device", "show", "--"],
  ])
    assert.equal(wanted(...other), null, other.join(" "));
});
