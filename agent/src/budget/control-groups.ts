import { dirname, join } from "node:path";

/** Where this process stands in the control groups of its machine. */
export interface ControlGroups {
  /** v1: folder of the process's group in the controller's own hierarchy. */
  readonly v1: { readonly cpu: string | null; readonly memory: string | null };
  /** v2: folder of the process's group in the unified hierarchy; null without one. */
  readonly v2: string | null;
  /** Files with a memory limit that binds this process, innermost first. */
  readonly memoryLimitFiles: readonly string[];
}

/**
 * Reads the texts of /proc/self/cgroup and /proc/self/mountinfo (cgroups(7), proc(5)). In a container the mount's root
 * is the container's group, so the group's path is taken relative to it.
 */
export function locateControlGroups(cgroup: string, mountinfo: string): ControlGroups {
  const mounts = mountinfo.split("\n").flatMap(parseMount);
  const groups = cgroup.split("\n").flatMap(parseGroup);
  const folder = (controller: string): { folder: string; mount: string } | null => {
    const group = groups.find(({ controllers }) => controllers.includes(controller));
    const mount = mounts.find(({ type, options }) => type === "cgroup" && options.includes(controller));
    return group === undefined || mount === undefined ? null : place(mount, group.path);
  };
  const unifiedGroup = groups.find(({ id }) => id === "0");
  const unifiedMount = mounts.find(({ type }) => type === "cgroup2");
  const unified =
    unifiedGroup === undefined || unifiedMount === undefined ? null : place(unifiedMount, unifiedGroup.path);
  const memory = folder("memory");
  return {
    v1: { cpu: folder("cpu")?.folder ?? null, memory: memory?.folder ?? null },
    v2: unified?.folder ?? null,
    memoryLimitFiles: [
      ...(memory === null ? [] : upwards(memory).map((path) => join(path, "memory.limit_in_bytes"))),
      ...(unified === null ? [] : upwards(unified).map((path) => join(path, "memory.max"))),
    ],
  };
}

interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** `36 35 98:0 /root /point rw,... [tags] - type source options` */
function parseMount(line: string): Mount[] {
  const [before, after] = line.split(" - ");
  const [, , , root, point] = before?.split(" ") ?? [];
  const [type, , options] = after?.split(" ") ?? [];
  if (root === undefined || point === undefined || type === undefined) return [];
  return type.startsWith("cgroup") ? [{ root, point, type, options: options?.split(",") ?? [] }] : [];
}

/** `hierarchy-id:controllers:path`; id 0 is v2. */
function parseGroup(line: string): { id: string; controllers: string[]; path: string }[] {
  const match = /^(\d+):([^:]*):(.*)$/.exec(line);
  const [, id, controllers, path] = match ?? [];
  if (id === undefined || controllers === undefined || path === undefined) return [];
  return [{ id, controllers: controllers.split(","), path }];
}

function place(mount: Mount, path: string): { folder: string; mount: string } {
  const relative = mount.root !== "/" && path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
  return { folder: join(mount.point, relative), mount: mount.point };
}

function upwards({ folder, mount }: { folder: string; mount: string }): string[] {
  const paths: string[] = [];
  for (let path = folder; path.startsWith(mount); path = dirname(path)) paths.push(path);
  return paths;
}
