#!/usr/bin/env node
import { EspalierError } from "@espalier/shared/errors";
import { Command } from "commander";
import { deviceCommand } from "./commands/device.ts";
import { importCommands } from "./commands/imports.ts";
import { planCommand } from "./commands/plan.ts";
import { rolloutCommand } from "./commands/rollout.ts";
import { statusCommand } from "./commands/status.ts";
import { tokenCommand } from "./commands/token.ts";
import { upCommand } from "./commands/up.ts";
import { variantCommand } from "./commands/variant.ts";
import { outputFormats } from "./output/print.ts";

const program = new Command("espalier")
  .description("fit one language model to every device of a fleet")
  .version("0.1.0")
  .option("--context <file>", "context.json of a coordinator (or ESPALIER_CONTEXT)")
  .option("-o, --output <format>", outputFormats.join("|"), "table")
  .showHelpAfterError("(--help tells more)")
  .addHelpText(
    "after",
    `
A first day:
  espalier up --agent name=box,threads=2 --agent name=pi,threads=1,cpu-quota=0.5
  espalier model import ./SmolLM2-135M-Instruct --name smol
  espalier dataset import ./calibration.jsonl --name calibration
  espalier plan -f rollout.yaml
  espalier rollout start -f rollout.yaml --watch

Data goes to stdout, progress to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a rollout did not complete.`,
  );
for (const add of [
  upCommand,
  statusCommand,
  tokenCommand,
  deviceCommand,
  importCommands,
  planCommand,
  rolloutCommand,
  variantCommand,
]) {
  add(program);
}
program.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof EspalierError)) throw error;
  process.stderr.write(`error (${error.code}): ${error.message}\n`);
  if (error.remedy !== undefined) process.stderr.write(`fix: ${error.remedy}\n`);
  process.exitCode = 1;
}
