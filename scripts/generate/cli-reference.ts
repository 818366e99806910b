import type { Command } from "commander";
import { exitCodes } from "../../cli/src/exit-codes.ts";
import { examplesOf } from "../../cli/src/help/examples.ts";
import { createProgram } from "../../cli/src/program.ts";

/** docs/cli.md: every command as the program itself describes it. */
export function cliReference(): Map<string, string> {
  const program = createProgram();
  const leaves = leavesOf(program);
  const sections = leaves.map(section);
  const codes = Object.values(exitCodes).map(({ code, meaning }) => `| ${code} | ${cell(meaning)} |`);
  const text = [
    "# espalier, the command line",
    "",
    "Written from the commands by `node scripts/generate/main.ts`; `espalier COMMAND --help` says the same.",
    "",
    "## Everywhere",
    "",
    table(program),
    "",
    "Data goes to stdout; progress, warnings and errors go to stderr. Tables are for people: `wide` has more columns. `json` and",
    "`yaml` carry everything, `name` one name a line for pipes. Colours appear on a terminal only, and not with `NO_COLOR`. Every",
    "list takes `--selector` (`key=value,key!=value`) and `--watch`, which redraws in place on a terminal and prints each change",
    "elsewhere. Errors end with a stable code in brackets and a line `fix:`.",
    "",
    "## Exit codes",
    "",
    "| code | meaning |",
    "|---|---|",
    ...codes,
    "",
    "## Completion",
    "",
    "`source <(espalier complete bash)` in `~/.bashrc`, `source <(espalier complete zsh)` in `~/.zshrc`, or",
    "`espalier complete fish > ~/.config/fish/completions/espalier.fish`. The script asks `espalier` itself and never falls behind it.",
    "",
    ...sections,
  ];
  return new Map([["cli.md", `${text.join("\n").trimEnd()}\n`]]);
}

/** The commands that do something, with their whole names. */
function leavesOf(command: Command, names: readonly string[] = []): { name: string; command: Command }[] {
  const children = command.createHelp().visibleCommands(command);
  const inner = children
    .filter((child) => child.name() !== "help")
    .flatMap((child) => leavesOf(child, [...names, child.name()]));
  return inner.length > 0 ? inner : [{ name: names.join(" "), command }];
}

function section({ name, command }: { name: string; command: Command }): string {
  const usage = command.registeredArguments.map((argument) => {
    const dots = argument.variadic ? "..." : "";
    return argument.required ? `<${argument.name()}${dots}>` : `[${argument.name()}${dots}]`;
  });
  const options = table(command);
  const examples = examplesOf(command).map(([line, purpose]) => `# ${purpose}\n${line}`);
  return [
    `## espalier ${[name, ...usage].join(" ")}`,
    "",
    `${command.description()}.`,
    "",
    ...(options === "" ? [] : [options, ""]),
    ...(examples.length > 0 ? ["```sh", ...examples, "```", ""] : []),
  ].join("\n");
}

function table(command: Command): string {
  const options = command.options.filter(({ hidden }) => !hidden);
  if (options.length === 0) return "";
  const help = command.createHelp();
  const rows = options.map((option) => `| \`${cell(option.flags)}\` | ${cell(help.optionDescription(option))} |`);
  return ["| option | |", "|---|---|", ...rows].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
