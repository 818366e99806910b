import assert from "node:assert/strict";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { obtainTool } from "./obtain-tool.mjs";
import { Problem } from "./problem.mjs";
import { scratchFolder } from "./scratch-folder.test-support.mjs";
import { foldersOnPath, routeFromMirror, routeFromPath } from "./tool-routes.mjs";

const TOOL = { name: "nats-server", minimum: [2, 12], package: "nats-server", member: "usr/sbin/nats-server" };

/** A program that answers --version the way the given shell line does. */
async function program(path, line) {
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${line}\n`);
  await chmod(path, 0o755);
}

/** Stands in for the package mirror: a suite is a folder of unpacked packages, or a failure. */
const mirrorOf = (suites) => ({
  async unpack(suite) {
    if (suites[suite] === undefined) throw new Problem(`no ${suite} here`, "none");
    return suites[suite];
  },
});

test("a recent enough program on PATH is used where it is", async (t) => {
  const folder = await scratchFolder(t);
  await program(join(folder, "nats-server"), "echo nats-server: v2.12.4");
  const found = await obtainTool({ tool: TOOL, routes: [routeFromPath([folder])], binFolder: join(folder, "bin") });
  assert.equal(found.path, join(folder, "nats-server"));
  assert.equal(found.version, "2.12.4");
});

test("a program that is too old leads to the next route", async (t) => {
  const folder = await scratchFolder(t);
  await program(join(folder, "old", "nats-server"), "echo nats-server: v2.9.10");
  await program(join(folder, "sid", TOOL.member), "echo nats-server: v2.15.1");
  const routes = [routeFromPath([join(folder, "old")]), routeFromMirror(mirrorOf({ unstable: join(folder, "sid") }))];
  const found = await obtainTool({ tool: TOOL, routes, binFolder: join(folder, "bin") });
  assert.equal(found.path, join(folder, "bin", "nats-server"));
  assert.equal(found.version, "2.15.1");
});

test("a program that needs a newer C library leads to the next older suite, and is not installed", async (t) => {
  const folder = await scratchFolder(t);
  await program(join(folder, "sid", TOOL.member), "echo \"version 'GLIBC_2.99' not found\" >&2; exit 1");
  await program(join(folder, "stable", TOOL.member), "echo nats-server: v2.13.0");
  const mirror = mirrorOf({ unstable: join(folder, "sid"), stable: join(folder, "stable") });
  const found = await obtainTool({ tool: TOOL, routes: [routeFromMirror(mirror)], binFolder: join(folder, "bin") });
  assert.equal(found.version, "2.13.0");
});

test("when no route leads anywhere, each one says why and nothing is installed", async (t) => {
  const folder = await scratchFolder(t);
  await program(join(folder, "sid", TOOL.member), "echo \"version 'GLIBC_2.99' not found\" >&2; exit 1");
  const routes = [
    routeFromPath([join(folder, "nowhere")]),
    routeFromMirror(mirrorOf({ unstable: join(folder, "sid") })),
  ];
  const failing = obtainTool({ tool: TOOL, routes, binFolder: join(folder, "bin") });
  await assert.rejects(failing, (error) => {
    assert.match(error.message, /nats-server 2\.12 or newer could not be obtained/);
    assert.match(error.message, /on PATH: not found/);
    assert.match(error.message, /needs a newer C library \(GLIBC_2\.99\)/);
    assert.match(error.message, /no stable here/);
    assert.match(error.message, /fix: .*put a nats-server 2\.12 or newer on PATH/);
    return true;
  });
  assert.deepEqual(await readdir(folder), ["sid"]);
});

test("sbin folders are searched although PATH may lack them, relative entries are not", () => {
  assert.deepEqual(foldersOnPath("/usr/bin:.::/usr/sbin"), ["/usr/bin", "/usr/sbin", "/usr/local/sbin"]);
});
