import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Budget, BudgetEnforcement } from "@espalier/shared/contracts/profile";
import { messageOf } from "@espalier/shared/errors";
import type { ControlGroups } from "./control-groups.ts";

/** A short CFS period, so that a throttled process stalls for less than a token takes. */
const periodUs = 10_000;
/** The kernel's least quota. */
const minQuotaUs = 1_000;

export interface EnforceDeps {
  readonly budget: Budget;
  readonly groups: ControlGroups;
  /** Names the child group; equal for restarts of one agent, so that a killed one's group is taken over. */
  readonly groupName: string;
  readonly pid: number;
}

export interface Enforced {
  readonly enforcement: BudgetEnforcement;
  /** Moves the process back and removes its groups; never rejects. */
  release(): Promise<void>;
}

/**
 * Puts this process (all its threads) under the owner's CPU quota and memory limit by a control group of its own,
 * where the machine lets it. What can't be enforced is said, never hidden. Never rejects.
 */
export async function enforceBudget({ budget, groups, groupName, pid }: EnforceDeps): Promise<Enforced> {
  const undo: (() => Promise<void>)[] = [];
  const limits = {
    memory: budget.memoryBytes === null ? null : String(budget.memoryBytes),
    cpuQuotaUs: budget.cpuQuota === null ? null : Math.max(minQuotaUs, Math.round(budget.cpuQuota * periodUs)),
  };
  const v2 = groups.v2 === null ? [] : ((await readWords(join(groups.v2, "cgroup.controllers"))) ?? []);

  const enter = async (parent: string, prepare: (folder: string) => Promise<void>): Promise<void> => {
    const folder = join(parent, groupName);
    await mkdir(folder, { recursive: true });
    try {
      await prepare(folder);
      await writeFile(join(folder, "cgroup.procs"), String(pid));
    } catch (error) {
      await rmdir(folder).catch(() => undefined);
      throw error;
    }
    undo.push(() => leave(parent, folder));
  };

  const cpuV1 = async (parent: string, quotaUs: number): Promise<void> =>
    enter(parent, async (folder) => {
      await writeFile(join(folder, "cpu.cfs_period_us"), String(periodUs));
      await writeFile(join(folder, "cpu.cfs_quota_us"), String(quotaUs));
    });
  const memoryV1 = async (parent: string, bytes: string): Promise<void> =>
    enter(parent, (folder) => writeFile(join(folder, "memory.limit_in_bytes"), bytes));

  // v2 has one group for both, and its parent may hold no process once it hands controllers down.
  let unified: Promise<string> | undefined;
  const unifiedGroup = (parent: string): Promise<string> => {
    unified ??= (async () => {
      const folder = join(parent, groupName);
      await enter(parent, () => Promise.resolve());
      const wanted = ["cpu", "memory"].filter((name) => v2.includes(name)).map((name) => `+${name}`);
      await writeFile(join(parent, "cgroup.subtree_control"), wanted.join(" "));
      return folder;
    })();
    return unified;
  };

  const apply = async (
    controller: "cpu" | "memory",
    v1Folder: string | null,
    byV1: (parent: string) => Promise<void>,
    byV2: (folder: string) => Promise<void>,
  ): Promise<string> => {
    try {
      if (v1Folder !== null) {
        await byV1(v1Folder);
        return "cgroup-v1";
      }
      if (groups.v2 !== null && v2.includes(controller)) {
        await byV2(await unifiedGroup(groups.v2));
        return "cgroup-v2";
      }
      return `unenforced: no ${controller} control group`;
    } catch (error) {
      return `unenforced: ${messageOf(error)}`;
    }
  };

  const { memory, cpuQuotaUs } = limits;
  const enforcement: BudgetEnforcement = {
    threads: "runtime",
    disk: budget.diskBytes === null ? "no limit" : "runtime",
    memory:
      memory === null
        ? "no limit"
        : await apply(
            "memory",
            groups.v1.memory,
            (parent) => memoryV1(parent, memory),
            (folder) => writeFile(join(folder, "memory.max"), memory),
          ),
    cpuQuota:
      cpuQuotaUs === null
        ? "no limit"
        : await apply(
            "cpu",
            groups.v1.cpu,
            (parent) => cpuV1(parent, cpuQuotaUs),
            (folder) => writeFile(join(folder, "cpu.max"), `${cpuQuotaUs} ${periodUs}`),
          ),
  };
  return {
    enforcement,
    async release() {
      for (const step of undo.reverse()) await step().catch(() => undefined);
    },
  };
}

/** Moves every process of the child back to the parent and removes the child. */
async function leave(parent: string, folder: string): Promise<void> {
  const pids = (await readWords(join(folder, "cgroup.procs"))) ?? [];
  for (const pid of pids) await writeFile(join(parent, "cgroup.procs"), pid).catch(() => undefined);
  for (const child of await readdir(folder, { withFileTypes: true }))
    if (child.isDirectory()) await rmdir(join(folder, child.name)).catch(() => undefined);
  await rmdir(folder);
}

async function readWords(path: string): Promise<string[] | null> {
  const text = await readFile(path, "utf8").catch(() => null);
  return text === null ? null : text.split(/\s+/).filter((word) => word !== "");
}
