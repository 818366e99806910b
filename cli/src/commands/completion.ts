import addCompletion from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { addExamples } from "../help/examples.ts";
import { contextPath, type GlobalOptions } from "../session.ts";
import { kindOf, kindWanted, namesOf, placeholderOf } from "./completion-names.ts";

/** bash's script takes this function from the package bash-completion, which small systems lack. */
const bashWithoutPackage = `if ! declare -F _get_comp_words_by_ref > /dev/null; then
  _get_comp_words_by_ref() {
    words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
  }
fi
`;

/**
 * `complete bash|zsh|fish`: prints a script that asks `espalier` itself, so that it never falls behind the commands; what
 * names a device, rollout, variant or model is completed from the coordinator.
 */
export function completionCommand(program: Command): void {
  const tab = addCompletion(program);
  /** Asked for before completion, which answers at once. */
  let names: readonly string[] = [];
  const offer = (complete: (value: string, description: string) => void): void => {
    for (const name of names) complete(name, "");
  };
  for (const [path, command] of commandsOf(program)) {
    const completed = tab.commands.get(path);
    for (const argument of command.registeredArguments) {
      if (kindOf(argument.name()) !== null) completed?.argument(argument.name(), offer, argument.variadic);
    }
    for (const { long, flags, description } of command.options) {
      if (long && kindOf(placeholderOf(flags)) !== null) completed?.option(long.slice(2), description, offer);
    }
  }
  const added = program.commands.find((command) => command.name() === "complete");
  added?.description("print the script that completes espalier's commands, options and names in a shell");
  if (added === undefined) return;
  added.hook("preAction", async (_program, command) => {
    if (command.args[0] === "bash" && command.args.length === 1) process.stdout.write(bashWithoutPackage);
    const kind = kindWanted(program, command.args);
    if (kind !== null) names = await namesOf(kind, contextPath(contextAmong(command)));
  });
  addExamples(added, [
    ["source <(espalier complete bash)", "bash, in ~/.bashrc"],
    ["source <(espalier complete zsh)", "zsh, in ~/.zshrc"],
    ["espalier complete fish > ~/.config/fish/completions/espalier.fish", "fish"],
  ]);
}

/** The context that the unfinished command line names, else the one that this process was started with. */
function contextAmong(command: Command): GlobalOptions {
  const options = command.optsWithGlobals<GlobalOptions>();
  const named = command.args[command.args.indexOf("--context") + 1];
  return command.args.includes("--context") && named !== undefined ? { ...options, context: named } : options;
}

function* commandsOf(command: Command, path = ""): Generator<[path: string, command: Command]> {
  for (const child of command.commands) {
    const name = path === "" ? child.name() : `${path} ${child.name()}`;
    yield [name, child];
    yield* commandsOf(child, name);
  }
}
