import addCompletion from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { addExamples } from "../help/examples.ts";

/** `complete bash|zsh|fish`: prints a script that asks `espalier` itself, so that it never falls behind the commands. */
export function completionCommand(program: Command): void {
  addCompletion(program);
  const added = program.commands.find((command) => command.name() === "complete");
  added?.description("print the script that completes espalier's commands and options in a shell");
  if (added === undefined) return;
  addExamples(added, [
    ["source <(espalier complete bash)", "bash, in ~/.bashrc"],
    ["source <(espalier complete zsh)", "zsh, in ~/.zshrc"],
    ["espalier complete fish > ~/.config/fish/completions/espalier.fish", "fish"],
  ]);
}
