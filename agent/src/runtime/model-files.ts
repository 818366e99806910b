import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { TreePath } from "@espalier/shared/contracts/files";
import { messageOf } from "@espalier/shared/errors";
import { runtimeError } from "./runtime-error.ts";

/**
 * Path of a model file that is safe to hand to ONNX Runtime, which follows what it is given: a plain file with one
 * name, inside `folder`, with no symbolic link on the way. Throws `runtime.unsafe-file`.
 */
export async function safeModelFile(folder: string, path: string): Promise<string> {
  if (!TreePath.safeParse(path).success) throw unsafe(path, "its path leads outside the artifact's folder");
  const segments = path.split("/");
  for (const depth of segments.keys()) {
    const part = join(folder, ...segments.slice(0, depth + 1));
    const status = await lstat(part).catch((error: unknown) => {
      throw unsafe(path, messageOf(error));
    });
    const isLast = depth === segments.length - 1;
    if (isLast ? !status.isFile() : !status.isDirectory()) {
      throw unsafe(path, `${part} is not a plain ${isLast ? "file" : "folder"}`);
    }
    if (isLast && status.nlink !== 1) throw unsafe(path, `${part} has ${status.nlink} names (hard links)`);
  }
  return join(folder, ...segments);
}

function unsafe(path: string, why: string): Error {
  return runtimeError("runtime.unsafe-file", `Refusing to load ${path}: ${why}`, {
    fields: { path },
    remedy: "Download the variant again.",
  });
}
