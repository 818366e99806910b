import { readFile } from "node:fs/promises";
import { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { EspalierError } from "@espalier/shared/errors";
import { type Document, isMap, LineCounter, type Node, parseDocument } from "yaml";

/**
 * Reads a rollout specification (YAML or JSON) and reports every violation at once, each with its line and path.
 * @throws {EspalierError} `spec.unreadable`, `spec.invalid`
 */
export async function readSpec(path: string): Promise<RolloutSpec> {
  const lines = new LineCounter();
  const document = parseDocument(await textOf(path), { lineCounter: lines, prettyErrors: false });
  const placed = (offset: number) => `${path}:${lines.linePos(offset).line}`;
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => `  ${placed(error.pos[0])}: ${error.message}`);
    throw new EspalierError("spec.unreadable", `${path} is no YAML:\n${problems.join("\n")}`, { fields: { path } });
  }
  const parsed = RolloutSpec.safeParse(document.toJS());
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) => {
    // An unknown key's issue names the map that holds it; a reader looks for the key.
    const paths = issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    return paths.map((at) => {
      const expected = issue.code === "unrecognized_keys" ? "there is no such field" : issue.message;
      return `  ${placed(offsetOf(document, at))}: ${at.join(".") || "(top level)"}: ${expected}`;
    });
  });
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  throw new EspalierError("spec.invalid", `the rollout specification has ${count}:\n${problems.join("\n")}`, {
    fields: { path, problems: problems.length },
    remedy: "docs/rollout.md lists every field",
  });
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new EspalierError("spec.unreadable", `${path}: ${(cause as Error).message}`, { fields: { path }, cause });
  }
}

/** Where a field stands: its key, or what holds it where it is missing. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const holder = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    const pair = isMap(holder)
      ? holder.items.find((item) => (item.key as { value?: unknown }).value === key)
      : undefined;
    const node = (pair?.key ?? document.getIn(path.slice(0, length), true)) as Node | undefined;
    if (node?.range) return node.range[0];
  }
  return 0;
}
