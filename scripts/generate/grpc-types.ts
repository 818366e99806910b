import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** File name -> TypeScript types of the messages and services in proto/, as loaded by shared/src/grpc.ts. */
export async function grpcTypes(root: string): Promise<Map<string, string>> {
  const out = await mkdtemp(join(tmpdir(), "espalier-grpc-types-"));
  try {
    const protos = (await readdir(join(root, "proto/espalier/v1"))).filter((name) => name.endsWith(".proto")).sort();
    const generator = join(root, "node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js");
    const options = ["--longs=Number", "--enums=String", "--defaults", "--oneofs", "--grpcLib=@grpc/grpc-js"];
    const files = protos.map((name) => `espalier/v1/${name}`);
    // Relative to the root, so that no path of one machine is written into the files.
    const includes = ["--includeDirs=proto"];
    const suffix = ["--importFileExtension=.ts", "--targetFileExtension=.ts"];
    await run(process.execPath, [generator, ...options, ...includes, ...suffix, `--outDir=${out}`, ...files], {
      cwd: root,
    });
    const written = new Map<string, string>();
    for (const entry of await readdir(out, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      written.set(relative(out, path), await readFile(path, "utf8"));
    }
    return written;
  } finally {
    await rm(out, { recursive: true });
  }
}
