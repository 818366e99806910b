import { readFile } from "node:fs/promises";
import { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { EspalierError } from "@espalier/shared/errors";
import { parse } from "yaml";

/**
 * Reads a rollout specification (YAML or JSON) and reports every violation at once, each with its path.
 * @throws {EspalierError} `spec.unreadable`, `spec.invalid`
 */
export async function readSpec(path: string): Promise<RolloutSpec> {
  let value: unknown;
  try {
    value = parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new EspalierError("spec.unreadable", `${path}: ${(cause as Error).message}`, { fields: { path }, cause });
  }
  const parsed = RolloutSpec.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `  ${issue.path.join(".") || "(top level)"}: ${issue.message}`);
  throw new EspalierError("spec.invalid", `${path} is no rollout specification:\n${lines.join("\n")}`, {
    fields: { path },
    remedy: "docs/rollout.md lists every field",
  });
}
