import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { messages } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { type LogLevelName, levelOf, logLevelNames, logText } from "../output/log-line.ts";
import { withClient } from "../session.ts";

interface LogOptions {
  lines: number;
  follow?: boolean;
  level: LogLevelName;
}

const mostLines = 1_000;

/** `device logs`: what an agent wrote lately, asked for over its session. */
export function logsCommand(group: Command): void {
  const logs = group
    .command("logs <device>")
    .description("what a device's agent wrote to its log lately; it keeps the newest 1000 lines in memory")
    .option("-n, --lines <count>", "the newest so many, at most 1000", readLines, 100)
    .option("-f, --follow", "then each new line, until Ctrl-C")
    .option("--level <level>", `only this level and worse: ${logLevelNames.join(", ")}`, readLevel, "info")
    .addHelpText("after", "\n-o json prints the lines as the agent wrote them, one JSON object each.")
    .action(async (device: string, { lines, follow = false, level }: LogOptions, command) => {
      await withClient(command, async (client, { output }) => {
        for await (const part of messages(client.readDeviceLogs({ device, lines, follow }))) {
          if (part.missed > 0) process.stderr.write(`(${part.missed} lines went by too fast)\n`);
          for (const line of part.lines) {
            if (levelOf(line) < logLevelNames.indexOf(level)) continue;
            process.stdout.write(`${output === "json" ? line : logText(line)}\n`);
          }
        }
      });
    });
  addExamples(logs, [
    ["espalier device logs pi", "why it did what its events say"],
    ["espalier device logs pi --follow --level warn", "while you change something"],
    ["espalier device logs pi -n 1000 -o json | jq .msg", "for a program"],
  ]);
}

function readLines(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= mostLines) return count;
  throw new InvalidArgumentError(`expected a whole number from 1 to ${mostLines}`);
}

function readLevel(text: string): LogLevelName {
  const found = logLevelNames.find((name) => name === text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`expected ${logLevelNames.join(", ")}`);
}
