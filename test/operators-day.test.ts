/** What an operator does on the command line, with real processes: coordinator, broker and one agent. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { checkoutFolder, findBinaries } from "@espalier/cli/up/binaries";
import { type Stack, startStack } from "@espalier/cli/up/stack";
import { eventually } from "./eventually.ts";

const binaries = findBinaries();
const dataFolder = join(checkoutFolder, ".espalier/test/operators-day");
let stack: Stack;

before(async () => {
  await rm(dataFolder, { recursive: true, force: true });
  stack = await startStack({ dataFolder, binaries, onUnexpectedExit: () => {} });
  await stack.startAgent({ name: "pi", labels: { tier: "small" }, budget: { threads: "1" } });
});
after(() => stack?.stop());

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `espalier` with a context, by default the coordinator's own admin. */
function espalier(args: string[], context = stack.contextPath): Promise<Ended> {
  const main = join(checkoutFolder, "cli/src/main.ts");
  return new Promise((resolve) => {
    execFile(binaries.node, [main, "--context", context, ...args], { cwd: dataFolder }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

async function json<Value>(args: string[]): Promise<Value> {
  const { code, stdout, stderr } = await espalier([...args, "-o", "json"]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

test("a viewer made on the command line looks, is denied with exit code 4, and is shut out when revoked", async () => {
  const path = join(dataFolder, "vic.context.json");
  const made = await espalier(["operator", "create", "vic", "--role", "viewer"]);
  assert.equal(made.code, 0, made.stderr);
  assert.equal(made.stdout, "vic.context.json\n");
  assert.match(await readFile(path, "utf8"), /PRIVATE KEY/);
  assert.equal(
    (await espalier(["operator", "create", "vic", "--role", "admin"])).code,
    1,
    "the file is never replaced",
  );

  assert.match((await espalier(["status"], path)).stdout, /vic \(viewer\)/);
  const denied = await espalier(["device", "revoke", "pi", "--yes"], path);
  assert.equal(denied.code, 4);
  assert.match(denied.stderr, /vic has the role viewer; RevokeDevice needs operator\nfix: /);
  assert.equal(denied.stdout, "");

  assert.equal((await espalier(["operator", "revoke", "vic"])).code, 0);
  assert.equal((await espalier(["status"], path)).code, 4);
  const entries = await json<{ who: string; action: string; outcome: string }[]>(["audit", "--who", "vic"]);
  assert.deepEqual(
    entries.map(({ action, outcome }) => [action, outcome]),
    [
      ["GetStatus", "denied"],
      ["RevokeDevice", "denied"],
    ],
  );
});

test("devices are labelled, selected, shown in every format, and tell what happened to them", async () => {
  assert.equal((await espalier(["device", "label", "pi", "site=hall", "tier-"])).code, 0);
  const [device] = await json<{ name: string; labels: object }[]>(["device", "list", "-l", "site=hall"]);
  assert.deepEqual([device?.name, device?.labels], ["pi", { site: "hall" }]);
  assert.equal((await espalier(["device", "list", "-l", "tier=small", "-o", "name"])).stdout, "");
  assert.equal((await espalier(["device", "list", "-o", "name"])).stdout, "pi\n");
  assert.match((await espalier(["device", "list", "-o", "wide"])).stdout, /^NAME +ID +STATE .*\npi +dev-/);
  assert.match((await espalier(["device", "list", "-o", "yaml"])).stdout, /deviceId: dev-/);
  assert.equal((await espalier(["device", "list", "-l", "no selector"])).code, 2);
  assert.match((await espalier(["device", "show", "pi"])).stdout, /^pi .*\n\nid +dev-.*\nlabels +site=hall\n/);
  const kinds = (await json<{ kind: string }[]>(["device", "events", "pi"])).map(({ kind }) => kind);
  assert.deepEqual([kinds[0], kinds.at(-1)], ["device.enrolled", "device.labelled"]);
});

test("a device's log is read from its agent, as text and as it was written", async () => {
  const text = await espalier(["device", "logs", "pi"]);
  assert.match(text.stdout, /info {3}session open {2}deviceId=dev-/);
  const { stdout } = await espalier(["device", "logs", "pi", "-n", "1", "-o", "json"]);
  assert.equal(JSON.parse(stdout).name, "agent");
  assert.equal((await espalier(["device", "logs", "pi", "--level", "error"])).stdout, "");
  const unknown = await espalier(["device", "logs", "nobody"]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /no device is called nobody/);
});

test("a shell completes names from the coordinator, and nothing where there is none", async () => {
  const complete = async (words: string[], context = stack.contextPath) =>
    (await espalier(["complete", "--", ...words], context)).stdout.split("\n").map((line) => line.split("\t")[0]);
  assert.ok((await complete(["device", "show", ""])).includes("pi"));
  assert.ok((await complete(["model", "profile", "m", "--device", "p"])).includes("pi"));
  assert.ok(!(await complete(["rollout", "status", ""])).includes("pi"));
  assert.ok(!(await complete(["device", "show", ""], "/nowhere/context.json")).includes("pi"));
});

test("a specification is checked against the file's lines, then against what is imported and enrolled", async () => {
  const spec = join(dataFolder, "rollout.yaml");
  await writeFile(spec, "name: Bad Name\nmodel: none\nlimits:\n  tpotP90Ms: fast\n");
  const unread = await espalier(["rollout", "start", "-f", spec, "--dry-run"]);
  assert.equal(unread.code, 2);
  assert.match(unread.stderr, /rollout\.yaml:1: name: .*\n.*rollout\.yaml:4: limits\.tpotP90Ms: /);
  await writeFile(spec, "name: good\nmodel: none\nevaluation: none\n");
  const unknown = await espalier(["rollout", "start", "-f", spec, "--dry-run"]);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /model: no model "none".*\n.*evaluation: no dataset "none"/);
  assert.equal((await espalier(["rollout", "list", "-o", "name"])).stdout, "");
});

test("the doctor finds nothing wrong with what is well, and a broker that is gone", async () => {
  type Found = { check: string; level: string; message: string; fix: string }[];
  const well = await espalier(["doctor", "-o", "json"]);
  assert.equal(well.code, 0, well.stdout);
  const checks = new Set((JSON.parse(well.stdout) as Found).map(({ check }) => check));
  for (const check of ["context", "certificate", "ports", "clock", "nats", "disk", "versions", "certificates"]) {
    assert.ok(checks.has(check), check);
  }
  const pidPath = join(dataFolder, "coordinator/nats/server.pid");
  const pid = Number(await readFile(pidPath, "utf8"));
  process.kill(pid, "SIGSTOP");
  try {
    // A broker that hangs is noticed when it answers no more pings, or when a question to it times out.
    await eventually(async () => {
      const { stdout } = await espalier(["doctor", "-q", "-o", "json"]);
      const found = (JSON.parse(stdout) as Found).find(
        ({ check, message }) => check === "nats" || /NATS/.test(message),
      );
      assert.ok(found, stdout);
      assert.notEqual(found.fix, "");
    });
  } finally {
    process.kill(pid, "SIGCONT");
  }
});
