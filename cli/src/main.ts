#!/usr/bin/env node
import { EspalierError } from "@espalier/shared/errors";
import { CommanderError } from "commander";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import { createProgram } from "./program.ts";

// A reader that had enough (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.done.code);
  throw error;
});

try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exitCodes.done.code : exitCodes.usage.code;
  } else if (error instanceof EspalierError) {
    process.stderr.write(`error (${error.code}): ${error.message}\n`);
    if (error.remedy !== undefined) process.stderr.write(`fix: ${error.remedy}\n`);
    process.exitCode = exitCodeOf(error);
  } else {
    throw error;
  }
}
