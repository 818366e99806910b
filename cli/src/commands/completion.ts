import addCompletion from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { addExamples } from "../help/examples.ts";

/** bash's script takes this function from the package bash-completion, which small systems lack. */
const bashWithoutPackage = `if ! declare -F _get_comp_words_by_ref > /dev/null; then
  _get_comp_words_by_ref() {
    words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
  }
fi
`;

/** `complete bash|zsh|fish`: prints a script that asks `espalier` itself, so that it never falls behind the commands. */
export function completionCommand(program: Command): void {
  addCompletion(program);
  const added = program.commands.find((command) => command.name() === "complete");
  added?.description("print the script that completes espalier's commands and options in a shell");
  if (added === undefined) return;
  added.hook("preAction", (_program, command) => {
    if (command.args[0] === "bash" && command.args.length === 1) process.stdout.write(bashWithoutPackage);
  });
  addExamples(added, [
    ["source <(espalier complete bash)", "bash, in ~/.bashrc"],
    ["source <(espalier complete zsh)", "zsh, in ~/.zshrc"],
    ["espalier complete fish > ~/.config/fish/completions/espalier.fish", "fish"],
  ]);
}
