import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { access, constants, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { locateControlGroups } from "./control-groups.ts";
import { enforceBudget } from "./enforce.ts";

const limited = { threads: 1, memoryBytes: 256 * 1024 ** 2, diskBytes: null, cpuQuota: 0.25 };

test("groups of both versions are found, also inside a container whose mount shows only its own part", () => {
  const groups = locateControlGroups(
    "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/x\n",
    [
      "31 25 0:29 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
      "32 25 0:30 / /sys/fs/cgroup/cpu rw shared:1 - cgroup cgroup rw,cpu,cpuacct",
      "33 25 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    ].join("\n"),
  );
  assert.deepEqual(groups.v1, { cpu: "/sys/fs/cgroup/cpu/docker/abc", memory: "/sys/fs/cgroup/memory" });
  assert.equal(groups.v2, "/sys/fs/cgroup/unified/x");
  assert.deepEqual(groups.memoryLimitFiles, [
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/unified/x/memory.max",
    "/sys/fs/cgroup/unified/memory.max",
  ]);
});

test("where there is no control group, the limits are reported as not enforced, with the reason", async () => {
  const { enforcement, release } = await enforceBudget({
    budget: limited,
    groups: locateControlGroups("", ""),
    groupName: "none",
    pid: process.pid,
  });
  assert.match(enforcement.memory, /^unenforced: /);
  assert.match(enforcement.cpuQuota, /^unenforced: /);
  assert.equal(enforcement.threads, "runtime");
  await release();
});

test("a process under a quota of a quarter core gets about a quarter core, and its group goes with it", async (context) => {
  const groups = locateControlGroups(
    await readFile("/proc/self/cgroup", "utf8"),
    await readFile("/proc/self/mountinfo", "utf8"),
  );
  const { cpu } = groups.v1;
  if (
    cpu === null ||
    !(await access(cpu, constants.W_OK).then(
      () => true,
      () => false,
    ))
  )
    return context.skip("no writable v1 cpu control group here");
  const script = `process.stdin.once("data", () => { const wall = performance.now(); const cpu = process.cpuUsage();
    while (performance.now() - wall < 800); const { user, system } = process.cpuUsage(cpu);
    process.stdout.write(String((user + system) / 1000 / (performance.now() - wall))); process.exit(0); });`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["pipe", "pipe", "inherit"] });
  const groupName = `espalier-test-${randomUUID()}`;
  const enforced = await enforceBudget({ budget: limited, groups, groupName, pid: child.pid! });
  assert.equal(enforced.enforcement.cpuQuota, "cgroup-v1");
  child.stdin.write("go");
  const [share] = await once(child.stdout, "data");
  assert.ok(Number(share) < 0.35, `the child got ${share} of a core`);
  await once(child, "exit");
  await enforced.release();
  await assert.rejects(access(join(cpu, groupName)), { code: "ENOENT" });
});
