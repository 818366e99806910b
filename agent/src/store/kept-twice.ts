import { readFile } from "node:fs/promises";
import { writeDurably } from "./write-durably.ts";

/** What became of a file that is kept twice. */
export type Reading<Value> =
  | { readonly kind: "whole"; readonly value: Value }
  /** The file is torn, foreign or lost, its copy is not. */
  | { readonly kind: "healed"; readonly value: Value; readonly problem: unknown }
  | { readonly kind: "broken"; readonly problem: unknown }
  | { readonly kind: "absent" };

/**
 * Writes a file and a copy of it, so that a disk that breaks one of them loses nothing. Durable when it returns. A copy
 * that can't be written is no failure: it then is the content before, and counts only when the file itself breaks.
 */
export async function writeTwice(path: string, content: string, mode: number): Promise<void> {
  await writeDurably(path, content, mode);
  await writeDurably(copyOf(path), content, mode).catch(() => undefined);
}

/** Reads what `writeTwice` wrote; `parse` throws for what isn't it. */
export async function readTwice<Value>(path: string, parse: (text: string) => Value): Promise<Reading<Value>> {
  const own = await read(path, parse);
  if (own.kind === "whole") return own;
  const copy = await read(copyOf(path), parse);
  const problem = own.kind === "broken" ? own.problem : new Error(`${path} is gone`);
  if (copy.kind === "whole") return { kind: "healed", value: copy.value, problem };
  return own.kind === "absent" && copy.kind === "broken" ? copy : own;
}

export function copyOf(path: string): string {
  return `${path}.copy`;
}

async function read<Value>(
  path: string,
  parse: (text: string) => Value,
): Promise<Exclude<Reading<Value>, { kind: "healed" }>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "absent" };
    throw error;
  }
  try {
    return { kind: "whole", value: parse(text) };
  } catch (problem) {
    return { kind: "broken", problem };
  }
}
