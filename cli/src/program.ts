import { Command, Option } from "commander";
import { auditCommand } from "./commands/audit.ts";
import { backupCommands } from "./commands/backup.ts";
import { completionCommand } from "./commands/completion.ts";
import { correctionCommand } from "./commands/correction.ts";
import { deviceCommand } from "./commands/device.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { importCommands } from "./commands/imports.ts";
import { operatorCommand } from "./commands/operator.ts";
import { planCommand } from "./commands/plan.ts";
import { rolloutCommand } from "./commands/rollout.ts";
import { statusCommand } from "./commands/status.ts";
import { tokenCommand } from "./commands/token.ts";
import { upCommand } from "./commands/up.ts";
import { variantCommand } from "./commands/variant.ts";
import { exitCodes } from "./exit-codes.ts";
import { renderExamples } from "./help/examples.ts";
import { outputFormats } from "./output/print.ts";
import { version } from "./version.ts";

/** Every command of `espalier`, for running, for completion and for docs/cli.md. */
export function createProgram(): Command {
  const program = new Command("espalier")
    .description("fit one language model to every device of a fleet")
    .version(version)
    .option(
      "--context <file>",
      "context of a coordinator and an operator (default: ESPALIER_CONTEXT, then `espalier up`'s here)",
    )
    .addOption(
      new Option("-o, --output <format>", "how data is printed on stdout").choices(outputFormats).default("table"),
    )
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .showHelpAfterError("(--help tells more)")
    .addHelpText("after", firstDay)
    .addHelpText("afterAll", ({ command }) => renderExamples(command));
  for (const add of [
    upCommand,
    statusCommand,
    doctorCommand,
    deviceCommand,
    tokenCommand,
    importCommands,
    planCommand,
    correctionCommand,
    rolloutCommand,
    variantCommand,
    operatorCommand,
    auditCommand,
    backupCommands,
  ]) {
    add(program);
  }
  completionCommand(program);
  return program;
}

const firstDay = `
A first day:
  espalier up --agent name=box,threads=2 --agent name=pi,threads=1,cpu-quota=0.5
  espalier model import ./SmolLM2-135M-Instruct --name smol
  espalier dataset import ./calibration.jsonl --name calibration
  espalier plan -f rollout.yaml
  espalier rollout start -f rollout.yaml --watch

Data goes to stdout, progress to stderr. Exit codes:
${Object.values(exitCodes)
  .map(({ code, meaning }) => `  ${code}  ${meaning}`)
  .join("\n")}`;
