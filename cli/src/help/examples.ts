import type { Command } from "commander";

/** A command line and what it is for. */
export type Example = readonly [line: string, purpose: string];

const known = new WeakMap<Command, readonly Example[]>();

/** Gives a command its examples, for `--help` and docs/cli.md. */
export function addExamples(command: Command, examples: readonly Example[]): Command {
  known.set(command, examples);
  return command;
}

export function examplesOf(command: Command): readonly Example[] {
  return known.get(command) ?? [];
}

/** The end of a command's help. */
export function renderExamples(command: Command): string {
  const examples = examplesOf(command);
  if (examples.length === 0) return "";
  return `\nExamples:\n${examples.map(([line, purpose]) => `  # ${purpose}\n  ${line}`).join("\n")}`;
}
